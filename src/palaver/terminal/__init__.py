"""The terminal front end: input, rendering, slash commands."""
