"""Anthropic's messages, as a route."""
