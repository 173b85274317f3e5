"""State folder `$WOLTER_HOME`, by default `.wolter` in the current folder."""

import os
from pathlib import Path


def home() -> Path:
    """Absolute path of the state folder; it may not exist yet."""
    return Path(os.environ.get("WOLTER_HOME", ".wolter")).absolute()


def default_dataset(kind: str) -> Path:
    """Default dataset folder of `simulate` and `train`."""
    return home() / "datasets" / kind
