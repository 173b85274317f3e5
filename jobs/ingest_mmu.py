#!/usr/bin/env python
"""Ingest spectra of the MultimodalUniverse: `ray job submit jobs/ingest_mmu.py`.

Options are those of `wolter ingest mmu`:
`ray job submit --working-dir . -- python jobs/ingest_mmu.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("ingest", "mmu")
