"""Race of Muon against AdamW: the same network, spectra, batches and number of steps in one run.

    wolter bench optimisers --json FILE

The posterior learns from spectra of any exposure and filter by either, at several learning rates
each; `information` is what it then tells of held-out spectra beyond their prior, in nats, the more
the better (null where training diverged), and `seconds` the time that training took.
"""

import contextlib
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from wolter.cluster import connected
from wolter.errors import InputError
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig
from wolter.train.job import make_job
from wolter.train.loop import Epoch, TrainConfig
from wolter.train.optimisers import OPTIMISERS
from wolter.train.runner import fit_local

RATES = (5e-4, 1e-3, 2e-3)
DOMAIN = SimulateConfig(
    exposure_s=(4_000.0, 125_000.0),
    variety=ResponseVariation(filters=("thin", "medium", "thick"), area=(0.5, 1.1), tilt=0.05),
)


def run(n: int = 40_000, epochs: int = 5) -> dict[str, Any]:
    """Train on most of `n` spectra by each."""
    config = TrainConfig(epochs=epochs, batch_size=512)
    with tempfile.TemporaryDirectory() as name:
        with connected():
            dataset = simulate_dataset(DOMAIN, n, Path(name) / "records", seed=1)
        rows = []
        for optimiser in OPTIMISERS:
            for rate in RATES:
                own = replace(config, optimiser=optimiser, learning_rate=rate)
                job = make_job("posterior", dataset, train=own)
                seen: list[Epoch] = []
                information = None
                start = time.perf_counter()
                with contextlib.suppress(InputError):  # the loss stopped being a number
                    fit_local(job, Path(name), seen.append)
                    information = seen[-1].validation["information"]
                seconds = time.perf_counter() - start
                told = {"optimiser": optimiser, "learning_rate": rate, "seconds": seconds}
                rows.append({**told, "information": information})
                print(json.dumps(rows[-1]), file=sys.stderr)
    best = {
        name: max(row["information"] or 0.0 for row in rows if row["optimiser"] == name)
        for name in OPTIMISERS
    }
    return {"n": n, "rows_an_epoch": job.rows, "epochs": epochs, "best": best, "runs": rows}


if __name__ == "__main__":
    text = json.dumps(run(), indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
