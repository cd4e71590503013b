"""Slash commands, one file each, found by a folder scan."""
