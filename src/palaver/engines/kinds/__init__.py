"""The engines that palaver knows, a file each that ends in `ENGINE = Kind(...)`, light to read."""
