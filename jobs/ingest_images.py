#!/usr/bin/env python
"""Make pairs of real images into a shard dataset: `ray job submit jobs/ingest_images.py`.

Options are those of `wolter ingest images`:
`ray job submit --working-dir . -- python jobs/ingest_images.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("ingest", "images")
