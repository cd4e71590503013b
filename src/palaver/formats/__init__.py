"""Log to prompt text and reply text to events, one file a dialect; no I/O."""
