#!/usr/bin/env python
"""Simulate pairs of images into a shard dataset: `ray job submit jobs/simulate_images.py`.

Options are those of `wolter simulate images`:
`ray job submit --working-dir . -- python jobs/simulate_images.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("simulate", "images")
