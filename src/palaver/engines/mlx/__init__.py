"""The engine `mlx`: mlx-lm's models, our loop; for Apple Silicon."""
