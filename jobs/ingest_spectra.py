#!/usr/bin/env python
"""Ingest archive spectra into a shard dataset: `ray job submit jobs/ingest_spectra.py`.

Options are those of `wolter ingest spectra`:
`ray job submit --working-dir . -- python jobs/ingest_spectra.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("ingest", "spectra")
