#!/usr/bin/env python
"""Train the autoencoder of Chandra spectra: `ray job submit jobs/train_autoencoder.py`.

Options are those of `wolter train autoencoder`:
`ray job submit --working-dir . -- python jobs/train_autoencoder.py --data DIR --name RUN`.
"""

from _job import run

if __name__ == "__main__":
    run("train", "autoencoder")
