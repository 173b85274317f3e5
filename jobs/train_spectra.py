#!/usr/bin/env python
"""Train a spectral family, deepspectra where none is named: `ray job submit jobs/train_spectra.py`.

Options are those of `wolter train`:
`ray job submit --working-dir . -- python jobs/train_spectra.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("train", otherwise="deepspectra")
