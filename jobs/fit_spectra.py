#!/usr/bin/env python
"""Fit spectra by maximum likelihood: `ray job submit jobs/fit_spectra.py`.

Options are those of `wolter fit`:
`ray job submit --working-dir . -- python jobs/fit_spectra.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("fit")
