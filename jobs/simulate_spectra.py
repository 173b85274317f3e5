#!/usr/bin/env python
"""Simulate spectra into a shard dataset: `ray job submit jobs/simulate_spectra.py`.

Options are those of `wolter simulate spectra`:
`ray job submit --working-dir . -- python jobs/simulate_spectra.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("simulate", "spectra")
