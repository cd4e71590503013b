"""Servers that take prompts as token ids and say the ids of replies: vLLM, and what is like it."""
