"""llama.cpp by its native API, over a unix socket."""
