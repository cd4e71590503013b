"""What the loop sees as a model: an engine joined to a prompt format."""
