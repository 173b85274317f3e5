#!/usr/bin/env python
"""Make pairs of real images into a shard dataset: `ray job submit jobs/ingest_images.py`.

Options are those of `wolter ingest images`:
`ray job submit --working-dir . -- python jobs/ingest_images.py --help`.
"""

import sys

from wolter.cli import main

if __name__ == "__main__":
    sys.exit(main(["ingest", "images", *sys.argv[1:]]))
