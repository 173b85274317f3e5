#!/usr/bin/env python
"""Make the demonstration release that the package ships: `python jobs/publish_demonstration.py`.

16,384 sources of a population that Chandra observes, for the autoencoder, and 3,616 that EPIC-pn
observes, for the posterior, which reads spectra of the response that it was trained on (in the
folder `WOLTER_REFERENCE_DATA`); a tenth is observed twice. Run it again when pretrained weights
change. Minutes on two cores.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from _published import Dataset, observed_response

from wolter.answering.scoring import FACTS, Scores
from wolter.catalogue import demonstration_files, scored
from wolter.catalogue.assemble import Estimated
from wolter.catalogue.score import ModelRef, estimates
from wolter.data.shards import open_dataset, table_to_numpy, tensor_column, to_batch
from wolter.spectra.folding import describe
from wolter.spectra.population.classes import NAMES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.simulator import SimulateConfig
from wolter.xray.spectral.response import read_response

SEED = 17
KEPT = 16  # posterior samples of a record
TWICE = 10  # one in so many sources is observed twice
OUT = Path("platform/wolter/catalogue/demonstration")
MJD = (51_800.0, 60_000.0)  # of the first observations
DEG = np.degrees


@dataclass(frozen=True)
class Survey:
    """Simulated records of one observatory, and the model that reads them."""

    dataset: Dataset
    model: str
    instrument: str
    n: int


def surveys() -> tuple[Survey, Survey]:
    """Chandra's population, with bremsstrahlung, which needs no extra, and sources of EPIC-pn."""
    population = PopulationConfig(thermal="bremsstrahlung")
    spectra = SimulateConfig(**observed_response(), exposure_s=(10_000.0, 100_000.0))
    return (
        Survey(Dataset("demonstration-chandra", population, 16_384, 170), "autoencoder",
               "CHANDRA/ACIS/", 16_384),
        Survey(Dataset("demonstration-xmm", spectra, 4096, 171), "posterior", "XMM/EPN/Medium",
               3_616),
    )  # fmt: skip


def scores_of(survey: Survey, first: int) -> tuple[pa.Table, Estimated]:
    """Facts and estimates of a survey.

    Args:
        survey: which.
        first: number of its first source.
    """
    dataset = open_dataset(survey.dataset.simulate())
    ref = ModelRef.of(f"{survey.model}@pretrained")
    model, scoring = ref.load()
    table = with_response(dataset.read(0)[: survey.n], survey.dataset.config)
    again = redrawn(table[::TWICE])
    source = np.concatenate([np.arange(survey.n), np.arange(survey.n)[::TWICE]]) + first
    tables = (table, again)
    scores = [estimates(model, scoring, each, "spectra", check=False) for each in tables]
    facts = pa.concat_tables([scoring.facts(each, dataset.spec) for each in tables])
    classes = np.nan_to_num(table["class"].to_numpy()) if "class" in table.column_names else None
    agn = np.ones(survey.n, bool) if classes is None else classes == NAMES.index("AGN")
    facts = placed(facts, source, survey, np.concatenate([agn, agn[::TWICE]]))
    kept = [replace(each, samples_BSP=_few(each)) for each in scores]
    columns = pa.concat_tables([scored.table(each, scoring.axes(model)) for each in kept])
    found = Estimated(
        ref.name,
        ref.version,
        scoring.columns(model),
        scoring.published(model),
        np.arange(len(facts)),
        columns,
        scoring.latents(model),
        scoring.axes(model),
        scoring.look_axis(model),
    )
    return facts, found


def with_response(table: pa.Table, config: Any) -> pa.Table:
    """Records that describe their response, as observed ones do, for the model in quick looks."""
    if not isinstance(config, SimulateConfig):
        return table  # a population's do
    area_F, offset_TA = describe(read_response(Path(config.rmf), Path(config.arf)))
    for name, tensor in (("folding_area", area_F), ("folding_offsets", offset_TA)):
        repeated = tensor.expand(len(table), *tensor.shape).numpy()
        table = table.append_column(name, tensor_column(repeated))
    return table


def _few(scores: Scores) -> Any:
    return None if scores.samples_BSP is None else scores.samples_BSP[:, :KEPT]


def redrawn(table: pa.Table) -> pa.Table:
    """The same sources in another observation: new photons around the same expectation."""
    batch = to_batch(table_to_numpy(table), "spectra")
    drawn = batch.redraw(torch.Generator().manual_seed(SEED))
    for name, tensor in (("counts", drawn.counts_BC), ("background", drawn.background_BC)):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, tensor_column(tensor.numpy()))
    return table


def placed(facts: pa.Table, source: Any, survey: Survey, far: Any) -> pa.Table:
    """Facts with places, times and names: AGN anywhere, others near the plane of the Galaxy."""
    from astropy.coordinates import SkyCoord
    from astropy.units import deg

    rng = np.random.default_rng((SEED, int(source[0])))
    n, which = len(facts), source - source[0]
    longitude = rng.uniform(0, 360, survey.n)
    anywhere = DEG(np.arcsin(rng.uniform(-1, 1, survey.n)))
    latitude = np.where(far[: survey.n], anywhere, np.clip(rng.laplace(0, 4, survey.n), -89, 89))
    places = SkyCoord(longitude * deg, latitude * deg, frame="galactic").icrs
    start = rng.uniform(*MJD, n)
    exposure = facts["exposure_s"].to_numpy()
    told = {
        "record": [f"simulated {i:05d}{'' if k < survey.n else ' again'}"
                   for k, i in enumerate(source)],
        "source": [f"simulated {i:05d}" for i in source],
        "ra": np.round(places.ra.deg[which], 6),
        "dec": np.round(places.dec.deg[which], 6),
        "pos_err": rng.uniform(0.4, 2.0, n),
        "pos_origin": ["drawn at random: simulated"] * n,
        "observation_id": [f"simulated {1000 + k:05d}" for k in range(n)],
        "instrument": [survey.instrument] * n,
        "t_start": np.round(start, 5),
        "t_stop": np.round(start + exposure / 86_400, 5),
    }  # fmt: skip
    return pa.table({name: told.get(name, facts[name]) for name in FACTS.names}).cast(FACTS)


if __name__ == "__main__":
    facts_of, found, start_at = [], [], 0
    for each in surveys():
        facts, estimated = scores_of(each, start_at)
        rows = estimated.detection_K + sum(map(len, facts_of))
        found.append(replace(estimated, detection_K=rows))
        facts_of.append(facts)
        start_at += each.n
    demonstration_files.pack(OUT, pa.concat_tables(facts_of), found)
    for file in sorted(OUT.iterdir()):
        print(f"{file} {file.stat().st_size / 1e6:.2f} MB")
