"""Mixes of losses for super-resolution, each on the same budget: data, network, seed and epochs.

Each mix trains one small network on the same simulated fields, and is judged on others, by the
photons that it did not see (`deviance`) and against the noise-free truth: peak signal-to-noise
ratio of linear brightness and of its root, and structural similarity. The last mix is the best of
a search: of `wolter tune superres --json SWEEP`, or else of a small one here, whose trials train on
a quarter of the fields.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wolter.cluster import connected, cores
from wolter.data.batches import BatchConfig, local_reader
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.images.evaluate import scores
from wolter.images.simulate import simulate_image_dataset
from wolter.images.simulator import ImageSimulateConfig
from wolter.images.targets import targets
from wolter.registry.checkpoint import load_model
from wolter.train.job import make_job
from wolter.train.loop import TrainConfig
from wolter.train.runner import fit_local
from wolter.tune import search
from wolter.tune.plan import SearchConfig, plan

NETWORK = {"blocks": 1, "filters": 16, "growth": 16}
LOSSES = ("poisson", "l1", "psnr", "ssim", "ms_ssim", "adversarial", "interval")
SEED = 3  # its 36 fields have 6 of the validation split, which the search judges by
MIXES: Mapping[str, Mapping[str, Any]] = {
    "L1": {"poisson": 0.0, "l1": 1.0, "interval": False},
    "L1 + 0.001 adversarial": {"poisson": 0.0, "l1": 1.0, "interval": False, "adversarial": 0.001},
    "L1 + 0.01 adversarial": {"poisson": 0.0, "l1": 1.0, "interval": False, "adversarial": 0.01},
    "Poisson": {"interval": False},
    "Poisson + MS-SSIM": {"interval": False, "ms_ssim": 0.1},
    "Poisson with intervals": {},
}
COLUMNS = {  # name here -> of `wolter.images.evaluate.scores`
    "psnr_linear": "true_psnr_linear",
    "psnr_sqrt": "true_psnr_sqrt",
    "ssim_linear": "true_ssim_linear",
    "ssim_sqrt": "true_ssim_sqrt",
    "deviance": "deviance",
}


def run(
    n: int = 36, epochs: int = 1, trials: int = 4, seed: int = SEED, sweep: Path | None = None
) -> dict[str, Any]:
    """Table of loss mixes from `n` training fields and a quarter as many test fields."""
    config = TrainConfig(epochs=epochs, batch_size=4, learning_rate=1e-3, seed=seed)
    given = None if sweep is None else _mix_of(sweep)
    threads = torch.get_num_threads()
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as name:
        folder, simulated = Path(name), ImageSimulateConfig()
        with connected():
            data = simulate_image_dataset(simulated, n, folder / "train", seed, fields_per_shard=6)
            held = simulate_image_dataset(simulated, max(1, n // 4), folder / "held", seed + 1000)
            start = time.perf_counter()
            found = given or _searched(data, config, trials, seed)
            searched_s = time.perf_counter() - start
        rows = []
        for label, mix in {**MIXES, "best of the search": found}.items():
            start = time.perf_counter()
            job = make_job("superres", data, {**NETWORK, **mix}, config)
            checkpoint = fit_local(job, folder / str(len(rows)))
            seconds = time.perf_counter() - start
            rows.append({"mix": label, **_scores(checkpoint, held), "train_s": seconds})
            print(_line(rows[-1]), file=sys.stderr)
        rows[-1]["weights"] = found
    torch.set_num_threads(threads)
    return {
        "budget": {
            "fields": n,
            "rows_an_epoch": job.rows,
            "epochs": epochs,
            "network": NETWORK,
            "seed": seed,
            "held_out_rows": held.manifest.rows,
            "search": str(sweep) if sweep else {"trials": trials, "seconds": searched_s},
        },
        "mixes": rows,
    }


def _mix_of(sweep: Path) -> dict[str, Any]:
    """The losses that a search recommends."""
    try:
        found = json.loads(sweep.read_text(encoding="utf-8"))["recommended"]["config"]
        return {key: found[key] for key in LOSSES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{sweep}: no result of `wolter tune superres --json FILE` ({error!r})"
        ) from error


def _searched(data: ShardDataset, config: TrainConfig, trials: int, seed: int) -> dict[str, Any]:
    sweep = plan(
        "superres",
        data.path,
        config=NETWORK,
        train=replace(config, fraction=0.25),
        search=SearchConfig(
            trials, over=LOSSES[:2] + LOSSES[4:7], parallel=1, seed=seed, grace=config.epochs
        ),
        experiment="losses",
    )
    result = search.run(sweep)
    best = result.sweep.points[result.recommended]
    return {key: best[key] for key in LOSSES}


@torch.inference_mode()
def _scores(checkpoint: Path, held: ShardDataset) -> dict[str, float]:
    """Means over the held-out tiles."""
    model = load_model(checkpoint)
    sums, n = dict.fromkeys(COLUMNS, 0.0), 0
    batches = BatchConfig(size=8, shuffle=False, fresh_noise=False, cache_bytes=0)
    for batch in local_reader(held, "all", batches)(0):
        target = targets(batch, held.spec)
        rate_BHW = model.family.predict(model.module, batch)["rate"]
        found = scores.scores(rate_BHW, target)
        seen = target.valid.flatten(1).any(1)  # tiles of which the detector sees a part
        for name, column in COLUMNS.items():
            sums[name] += float(found[column][seen].sum())
        n += int(seen.sum())
    return {name: total / n for name, total in sums.items()}


def _line(row: Mapping[str, Any]) -> str:
    values = "  ".join(f"{name} {row[name]:.4f}" for name in COLUMNS)
    return f"{row['mix']:<24} {values}  {row['train_s']:.0f} s"


if __name__ == "__main__":
    text = json.dumps(run(), indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
