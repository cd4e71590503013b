"""Settings from config.toml and PALAVER_* variables; the only place that reads the environment."""
