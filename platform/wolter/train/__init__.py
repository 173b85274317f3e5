"""Training: the plain loop, the Ray Train runner, checkpoints and tracking."""
