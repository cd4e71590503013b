"""What a model may do: a file or folder a tool, and what keeps each of them in its place."""
