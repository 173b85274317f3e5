#!/usr/bin/env python
"""Score datasets into a release of the catalogue: `ray job submit jobs/score_catalogue.py`.

Options are those of `wolter catalogue build`:
`ray job submit --working-dir . -- python jobs/score_catalogue.py --help`. Submitted again, the job
goes on where it stopped: estimates are kept.
"""

from _job import run

if __name__ == "__main__":
    run("catalogue", "build")
