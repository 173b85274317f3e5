#!/usr/bin/env python
"""Search networks and losses for the super-resolution of images: `ray job submit jobs/tune_sr.py`.

Options are those of `wolter tune superres`:
`ray job submit --working-dir . -- python jobs/tune_sr.py --data DIR --trials 24 --over l1 poisson`.
"""

from _job import run

if __name__ == "__main__":
    run("tune", "superres")
