"""A run from its first step to its encoder: steps, checkpoints, what is told."""
