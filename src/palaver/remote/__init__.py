"""Servers that speak OpenAI's HTTP API: their address and key, requests, streams, errors."""
