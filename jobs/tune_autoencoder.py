#!/usr/bin/env python
"""Search sizes and loss weights of the autoencoder: `ray job submit jobs/tune_autoencoder.py`.

Options are those of `wolter tune autoencoder`:
`ray job submit --working-dir . -- python jobs/tune_autoencoder.py --data DIR --trials 16`.
"""

from _job import run

if __name__ == "__main__":
    run("tune", "autoencoder")
