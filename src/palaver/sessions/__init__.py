"""Conversations on disk: an append-only tree of entries in SQLite."""
