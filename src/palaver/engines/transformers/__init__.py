"""Hugging Face transformers as an engine: its models, our loop and cache."""
