"""Somebody's chat endpoint as a Model: OpenAI's chat API, text in and text out, no ids."""
