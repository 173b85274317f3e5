"""Model registry: checkpoints, MLflow, migrations, pretrained weights."""
