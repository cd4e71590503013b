"""What happens next, as pure functions of the log, and the only loop."""
