#!/usr/bin/env python
"""Train a spectral family, deepspectra where none is named: `ray job submit jobs/train_spectra.py`.

Options are those of `wolter train`:
`ray job submit --working-dir . -- python jobs/train_spectra.py --help`.
"""

import sys

from wolter.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *(sys.argv[1:] or ["deepspectra"])]))
