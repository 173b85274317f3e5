#!/usr/bin/env python
"""Simulate pairs of images into a shard dataset: `ray job submit jobs/simulate_images.py`.

Options are those of `wolter simulate images`:
`ray job submit --working-dir . -- python jobs/simulate_images.py --help`.
"""

import sys

from wolter.cli import main

if __name__ == "__main__":
    sys.exit(main(["simulate", "images", *sys.argv[1:]]))
