#!/usr/bin/env python
"""Ingest archive spectra into a shard dataset: `ray job submit jobs/ingest_spectra.py`.

Options are those of `wolter ingest spectra`:
`ray job submit --working-dir . -- python jobs/ingest_spectra.py --help`.
"""

import sys

from wolter.cli import main

if __name__ == "__main__":
    sys.exit(main(["ingest", "spectra", *sys.argv[1:]]))
