"""Stored conversations written as training records."""
