"""Models that are kept: checkpoints, the MLflow registry, pretrained weights."""
