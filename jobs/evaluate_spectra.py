#!/usr/bin/env python
"""Evaluate spectral families on a test split: `ray job submit jobs/evaluate_spectra.py`.

Options are those of `wolter evaluate`:
`ray job submit --working-dir . -- python jobs/evaluate_spectra.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("evaluate")
