#!/usr/bin/env python
"""Simulate Chandra sources into a shard dataset: `ray job submit jobs/simulate_population.py`.

Options are those of `wolter simulate population`:
`ray job submit --working-dir . -- python jobs/simulate_population.py --help`.
"""

from _job import run

if __name__ == "__main__":
    run("simulate", "population")
