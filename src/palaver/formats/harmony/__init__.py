"""Harmony, the format of gpt-oss: prompts (its replies are read by `parsers/harmony.py`)."""
