#!/usr/bin/env python
"""Simulate spectra into a shard dataset: `ray job submit jobs/simulate_spectra.py`.

Options are those of `wolter simulate spectra`:
`ray job submit --working-dir . -- python jobs/simulate_spectra.py --help`.
"""

import sys

from wolter.cli import main

if __name__ == "__main__":
    sys.exit(main(["simulate", "spectra", *sys.argv[1:]]))
