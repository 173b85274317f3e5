"""Benchmark of domain adaptation: remedies where observations differ from simulations.

    wolter bench shifted --json FILE

The assumed domain is that of the pretrained posterior. The shifted one, which plays the sky, has
another response (the embedded EPIC-pn with the thick filter), a gain of 1.005 with an offset of 5
eV, twice the background, and a component that no model knows (bremsstrahlung of 0.7 keV outside the
absorption, a few percent of the counts of a middling source). Its true labels are for judging only.

Rows: `pretrained`; `more`, trained further on clean simulations for as long as the remedies are;
`augmented`, on simulations with drawn gain, blur, area, background, line width and extra component;
`labelled`, on clean simulations mixed with observed spectra, whose labels are fits of the assumed
model; `both`; `translator`, whose spectra `pretrained` reads. Each is set beside the exact
posterior of the shifted domain's own likelihood (`excess_mfe`, `excess_rmse`: ratios, with standard
errors) and counted by its intervals (`coverage`, percent of the truths inside). `wrong` is the
exact posterior under the assumed model: perfect inference, wrong model.

`real`: of every real spectrum in the reference data, how far the C-stat of each row's estimate is
above that of the best fit near it, each through its own response: a test that needs no labels.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from wolter import config as configs
from wolter import family as families
from wolter.cluster import connected
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.registry import pretrained
from wolter.registry.checkpoint import Model, load_model
from wolter.report.bootstrap import Estimate
from wolter.spectra.augment import Augmentation
from wolter.spectra.evaluate.exact import ASSUMED, Row, compare
from wolter.spectra.fitting.datasets import FitConfig, bounds_of, fit_dataset
from wolter.spectra.fitting.files import FileFits, FromNetwork
from wolter.spectra.headers import FileKind, classify
from wolter.spectra.labels import label_dataset
from wolter.spectra.predict import estimate
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.spectra.translation import translated
from wolter.train.loop import TrainConfig, default_config
from wolter.train.runner import train_local
from wolter.xray.emission import components
from wolter.xray.spectral.forward import Forward
from wolter.xray.stats.fit import Counted, fit
from wolter.xray.stats.likelihood import cstat

EXPOSURE_S = (25_000.0, 25_000.0)
SHIFT = SimulateConfig(
    model="wabs * (powerlaw + gaussian + bbody) + bremss",
    fixed={"sigma": 0.1, "brems_kt": 0.7, "brems_norm": 3e-4},
    exposure_s=EXPOSURE_S,
    filter="thick",
    gain=(1.005, 5.0),
    background_factor=2.0,
)
AUGMENTATION = Augmentation(
    gain_slope=0.005,
    gain_offset=5.0,
    blur=10.0,
    area_tilt=0.05,
    background_norm=0.3,
    background_tilt=0.2,
    line_width=(0.05, 0.2),
    extra_share=0.5,
    extra_flux=(0.01, 0.1),
)
VARIETY = ResponseVariation(("thin", "medium", "thick"), (0.5, 1.1), 0.05, True)
EPOCHS, LEARNING_RATE = 4, 3e-4


def run(n: int = 100_000) -> dict[str, Any]:
    """Train every remedy on `n` simulated spectra, and test it on some hundred shifted ones."""
    judged, observed = max(50, n // 250), max(1000, n // 10)
    with tempfile.TemporaryDirectory() as name, connected():
        return _run(Path(name), n, observed, judged)


def _run(folder: Path, n: int, observed: int, judged: int) -> dict[str, Any]:
    clean = SimulateConfig(exposure_s=(10_000.0, 60_000.0), variety=VARIETY)
    augmented = replace(clean, augment=AUGMENTATION)
    assumed = SimulateConfig(exposure_s=EXPOSURE_S, filter="thick")
    sets = {
        "clean": simulate_dataset(clean, n, folder / "clean", 1),
        "augmented": simulate_dataset(augmented, n, folder / "augmented", 1),
        "assumed": simulate_dataset(assumed, 1000, folder / "assumed", 2),
        "sky": simulate_dataset(SHIFT, observed, folder / "sky", 3),
        "judged": simulate_dataset(SHIFT, judged, folder / "judged", 4),
    }
    labelled = _label(folder, sets)
    posterior = pretrained.find("posterior", "champion")[0]
    usual = default_config(families.load("posterior"))
    how = replace(usual, epochs=EPOCHS, learning_rate=LEARNING_RATE, seed=1)

    def further(dataset: ShardDataset, real: Path | None = None) -> Model:
        done = train_local(
            "posterior", dataset.path, train=how, start=posterior, observed=real,
            experiment="shifted",
        )  # fmt: skip
        return load_model(done.checkpoint)

    base = load_model(posterior)
    found = train_local(
        "translator", sets["clean"].path,
        train=TrainConfig(epochs=EPOCHS, batch_size=1024, seed=1), observed=sets["sky"].path,
        experiment="shifted",
    )  # fmt: skip
    models = {
        "pretrained": base,
        "more": further(sets["clean"]),
        "augmented": further(sets["augmented"]),
        "labelled": further(sets["clean"], labelled.path),
        "both": further(sets["augmented"], labelled.path),
        "translator": _behind(load_model(found.checkpoint), base),
    }
    return {
        "n_trained": n,
        "n_observed": observed,
        "n_judged": judged,
        "epochs": EPOCHS,
        **_shifted(models, sets["judged"], sets["assumed"]),
        "real": _real(models),
    }


def _label(folder: Path, sets: dict[str, ShardDataset]) -> ShardDataset:
    """The sky with labels: fits of the assumed model and response, started from a network."""
    config = FitConfig("wstat", search=False, intervals=False)
    network = FromNetwork(pretrained.find("deepspectra", "champion")[0])
    table = fit_dataset(sets["sky"], config, network, "train", assumed=sets["assumed"])
    pq.write_table(table, folder / "fits.parquet")
    assumed = sets["assumed"].manifest
    area_A = Simulator(configs.from_dict(SimulateConfig, assumed.config)).area_A
    return label_dataset(
        sets["sky"], folder / "fits.parquet", folder / "labelled", assumed.spec.parameters, area_A
    ).dataset


def _behind(translator: Model, model: Model) -> Model:
    """The model, which reads spectra that the translator has carried to its domain."""

    def predict(module: torch.nn.Module, batch: SpectraBatch) -> dict[str, torch.Tensor]:
        return model.family.predict(module, translated(translator.family, translator.module, batch))

    return replace(model, family=replace(model.family, predict=predict))


def _shifted(
    models: dict[str, Model], judged: ShardDataset, assumed: ShardDataset
) -> dict[str, Any]:
    config = configs.from_dict(SimulateConfig, assumed.manifest.config)
    several, labels, n = list(models.values()), list(models), judged.manifest.rows
    found = compare(several, labels, judged, "all", n, assumed=config, refined=False)
    rows = {row.label: row for row in found.rows}
    rows["wrong"] = rows.pop(ASSUMED)
    return {
        "r_hat": found.r_hat,
        "exact": {"mfe_percent": _values(found.exact.errors.mfe_percent)},
        "shifted": {label: _row(row) for label, row in rows.items()},
    }


def _row(row: Row) -> dict[str, Any]:
    assert row.calibration is not None
    coverage = {
        str(round(100 * level)): dict(zip(row.calibration.names, each.percent_P, strict=True))
        for level, each in row.calibration.coverage.items()
    }
    return {
        "mfe_percent": _values(row.errors.mfe_percent),
        "excess_mfe": _values(row.excess_mfe),
        "excess_mfe_error": {k: e.deviation for k, e in row.excess_mfe.items()},
        "excess_rmse": _values(row.excess_rmse),
        "excess_rmse_error": {k: e.deviation for k, e in row.excess_rmse.items()},
        "coverage": coverage,
        "mean_excess_mfe": _mean([e.value for e in row.excess_mfe.values()]),
        "mean_coverage": {k: _mean(list(v.values())) for k, v in coverage.items()},
    }


def _values(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {name: each.value for name, each in estimates.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _real(models: dict[str, Model]) -> dict[str, Any] | None:
    """C-stat of each row's estimate above the best fit's, by file; None without reference data."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", beside))
    if not folder.is_dir():
        return None
    spec = next(iter(models.values())).card.spec
    how = FileFits(spec, None, FitConfig())  # type: ignore[arg-type]
    found = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        try:
            if classify(file).kind is FileKind.SPECTRUM:
                found[str(file.relative_to(folder))] = _above_best(models, how, file)
        except InputError:  # what cannot be read: `wolter ingest` says why
            continue
    means = {label: _mean([each[label] for each in found.values()]) for label in models}
    return {"cstat_above_best": found, "mean": means}


def _above_best(models: dict[str, Model], how: FileFits, file: Path) -> dict[str, float]:
    observation, batch, _ = how.read(file)
    response = observation.response.to(dtype=torch.float32)
    names = how.spec.names
    seen = Forward.of(components.parse(how.model), response, names, how.fixed)
    assert batch.expected_background_BC is not None
    values = {label: estimate(model, batch) for label, model in models.items()}
    start_NP = torch.tensor([[float(each[p][0]) for p in names] for each in values.values()])
    n = len(start_NP)
    exposure_N = batch.exposure_B.expand(n)
    counts_NC = batch.counts_BC.expand(n, -1)
    background_NC = batch.expected_background_BC.expand(n, -1)
    own_N = cstat(counts_NC, seen(start_NP, exposure_N) + background_NC)
    data = Counted(counts_NC, exposure_N, background_NC)
    best = fit(seen, data, start_NP.double(), bounds_of(how.spec.parameters), search=True)
    above_N = own_N.double() - best.statistic_B.min()
    return dict(zip(values, above_N.tolist(), strict=True))


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
