"""Markdown as it streams: blocks that are done stay, the last one is painted again."""
