"""Whether a model's answer explains a spectrum: goodness of fit, refined posteriors, pictures.

Every spectrum is fitted from the model's answer through its own response; where even the best fit
is far from the data, the answer is flagged. Posteriors are refined with the exact likelihood.

Shapes: B batch, C channel, P parameter, S sample.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wolter.data.records import Record, ResponseChoice, read_observed, to_record
from wolter.data.shards import make_folder, write_atomically
from wolter.errors import InputError
from wolter.evaluate import posterior_plots, predictive_plot, style
from wolter.fitting import Seen, known_background
from wolter.predict import predict_records
from wolter.train.checkpoint import Model
from wolter.xray import emission
from wolter.xray.fit import Counted, fit
from wolter.xray.forward import Forward
from wolter.xray.goodness import goodness, posterior_predictive_p
from wolter.xray.sampling import Box, Sampler, refine
from wolter.xray.spectrum import Observation
from wolter.xray.summary import summarise

if TYPE_CHECKING:
    from astropy.table import Table

UNEXPLAINED = 4.0  # standard deviations of C-stat above its expectation
FEW = 1e-3  # posterior-predictive p-value below which a spectrum is not explained
PLOTTED = 400  # samples behind a predictive band


@dataclass(frozen=True)
class _Case:
    """One spectrum on the model's grid, with all that its likelihood needs.

    Attributes:
        record: what the model reads.
        expected: source counts (B, C) of parameters and exposures.
        terms: of every component (B, K, C).
        background_C: expected in the source region.
        box: the model's prior, its norms scaled where the exposure is outside the trained range.
        seen_C: channels that the response and QUALITY leave.
    """

    record: Record
    expected: Callable[[Tensor, Tensor], Tensor]
    terms: Callable[[Tensor, Tensor], Tensor]
    background_C: Tensor
    box: Box
    seen_C: Tensor

    def counts(self, parameters_NP: Tensor) -> Tensor:
        """Expected counts of source and background (N, C)."""
        exposure_N = self.record.batch.exposure_B.expand(len(parameters_NP))
        return self.expected(parameters_NP, exposure_N) + self.background_C

    def log_likelihood(self, _row_N: Tensor, parameters_NP: Tensor) -> Tensor:
        """Of parameters, less what depends on the counts alone."""
        expected_NC = self.counts(parameters_NP).clamp_min(1e-20)
        logs_NC = self.record.batch.counts_BC * expected_NC.log() - expected_NC
        return logs_NC.double().sum(1)


def check_files(
    model: Model,
    files: Sequence[Path],
    *,
    rmf: Path | str | None = None,
    arf: Path | str | None = None,
    background: Path | str | None = None,
    response: ResponseChoice = "files",
    version: str = "",
    components: bool = False,
    refined: bool = False,
    plots: Path | None = None,
    on_reject: Callable[[str, str], None] | None = None,
    on_files: Callable[[int], None] | None = None,
) -> "Table":
    """The table of `wolter.predict.predict_files`, each answer held against its spectrum.

    Args:
        model: a loaded model of a spectra family that was trained on simulated spectra.
        files: PHA files.
        rmf: see `predict_files`, and so
        arf: and
        background: and
        response: and
        version: and
        components: there.
        refined: give the exact posterior in place of the network's; families of posteriors only.
        plots: folder for pictures of each spectrum.
        on_reject: called with file and reason where a file cannot be read, in place of the error.
        on_files: called with the number of files as each is done.

    Returns:
        More columns: `cstat` of the best fit near the answer, `cstat_expected` and `cstat_sigma`
        (Kaastra 2017), `p_value` (posterior-predictive, of posteriors) and `effective` (share of
        the network's samples that the likelihood keeps). The flag `not_explained` says that no
        parameters of the model give such a spectrum.

    Raises:
        InputError: a file cannot be read, or the model cannot be checked or refined.
    """
    from astropy.table import Table, vstack

    if not model.card.spec.model:
        raise InputError(
            f"{model.family.name}: its training data name no emission model, so that answers "
            "cannot be checked; train it on simulated spectra"
        )
    if plots is not None:
        make_folder(plots)
    tables = []
    for file in files:
        try:
            observation = read_observed(
                Path(file), rmf=rmf, arf=arf, background=background, response=response
            )
            tables.append(
                _check(model, observation, str(file), version, components, refined, plots)
            )
        except InputError as error:
            if on_reject is None:
                raise
            on_reject(str(file), str(error))
        if on_files is not None:
            on_files(1)
    return vstack(tables, metadata_conflicts="silent") if tables else Table()


def _check(
    model: Model,
    observation: Observation,
    name: str,
    version: str,
    components: bool,
    refined: bool,
    plots: Path | None,
) -> "Table":
    case = _case(model, observation, name)
    record, spec = case.record, model.card.spec
    table = predict_records(model, [record], version, components)
    answer_P = torch.tensor([float(table[p][0]) for p in spec.names])
    bounds_2P = torch.stack([case.box.low_P, case.box.high_P])
    best_C, best_P = _best(case, answer_P, bounds_2P)
    found = goodness(record.batch.counts_BC[:, case.seen_C], best_C[None, case.seen_C])
    # Each fitted parameter takes one from the statistic, where there are counts to fit.
    distance = float(found.statistic + len(spec.names) - found.expected) / float(found.sigma)
    columns: dict[str, Any] = {
        "cstat": float(found.statistic),
        "cstat_expected": float(found.expected),
        "cstat_sigma": float(found.sigma),
    }
    flags = [str(table["flag"][0])] if table["flag"][0] else []
    unexplained = distance > UNEXPLAINED
    values = _posterior(model, record)
    sets: dict[str, Tensor] = {}
    if refined and "samples" not in values:
        raise InputError(f"{model.family.name} gives no posterior to refine; choose posterior")
    if "samples" in values:
        sets["posterior"] = values["samples"][0]
        if refined:
            sets["refined posterior"] = _refine(case, values, table, columns, spec.names)
        last_SP = list(sets.values())[-1]
        even = torch.linspace(0, len(last_SP) - 1, PLOTTED).long()
        expected_SC = case.counts(last_SP[even])
        columns["p_value"] = float(
            posterior_predictive_p(
                record.batch.counts_BC[:, case.seen_C],
                expected_SC[None][..., case.seen_C],
                torch.Generator().manual_seed(0),
            )[0]
        )
        if refined:  # else the p-value judges the network as well as the model
            unexplained = unexplained or columns["p_value"] < FEW
    if unexplained:
        flags.append("not_explained")
    for key, value in columns.items():
        table[key] = np.array([value], dtype=np.float32)
    table.replace_column("flag", np.array([";".join(flags)]))
    if plots is not None:
        _draw(case, spec, sets, best_P, plots / Path(name).stem)
    return table


def _case(model: Model, observation: Observation, name: str) -> _Case:
    spec = model.card.spec
    record = to_record(observation, spec, name)
    binned = observation.rebin(spec.energy_edges)
    response = binned.response.to(dtype=torch.float32)
    forward = Forward.of(emission.parse(spec.model), response, spec.names, spec.fixed)
    seen = Seen(forward, binned.spectrum.areascale)
    areascale = torch.as_tensor(binned.spectrum.areascale)
    low_P, high_P = spec.bounds_2P()
    exposure_s = float(record.batch.exposure_B[0])
    shortest, longest = spec.exposure_s or (0.0, math.inf)
    factor = min(max(exposure_s, shortest), longest) / exposure_s
    is_norm_P = torch.tensor([p.endswith("norm") for p in spec.names])
    scale_P = torch.where(is_norm_P, factor, 1.0)

    def terms(parameters_BP: Tensor, exposure_B: Tensor) -> Tensor:
        return forward.terms(parameters_BP, exposure_B) * areascale.float()

    return _Case(
        record=record,
        expected=seen,
        terms=terms,
        background_C=known_background(observation, binned)[0],
        box=Box(low_P * scale_P, high_P * scale_P),
        seen_C=response.matrix_EC.any(0),
    )


def _best(case: _Case, answer_P: Tensor, bounds_2P: Tensor) -> tuple[Tensor, Tensor]:
    """Expected counts (C) and parameters of the best fit that starts from an answer."""
    batch = case.record.batch
    data = Counted(batch.counts_BC, batch.exposure_B, case.background_C[None])
    inside_P = torch.minimum(torch.maximum(answer_P, bounds_2P[0]), bounds_2P[1])
    found = fit(case.expected, data, inside_P[None].double(), bounds_2P, search=True)
    best_P = found.parameters_BP[0]
    return case.counts(best_P[None].float())[0], best_P


@torch.inference_mode()
def _posterior(model: Model, record: Record) -> dict[str, Tensor]:
    device = next(model.module.parameters()).device
    values = model.family.predict(model.module, record.batch.to(device))
    return {key: value.cpu() for key, value in values.items()}


def _refine(
    case: _Case,
    values: dict[str, Tensor],
    table: "Table",
    columns: dict[str, Any],
    names: Sequence[str],
) -> Tensor:
    """Refined samples (S, P) of equal weight; the table's estimates become theirs."""
    sampler = Sampler(case.log_likelihood, case.box)
    rows_B = torch.zeros(1, dtype=torch.long)
    fine = refine(sampler, rows_B, values["samples"], values["log_density"])
    for key, value in summarise(fine.parameters_BSP, names, fine.weights_BS).items():
        table[key] = value.float().numpy()
    columns["effective"] = float(fine.share_B[0])
    chosen = torch.multinomial(
        fine.weights_BS[0], fine.weights_BS.shape[1], True, generator=sampler.generator
    )
    return fine.parameters_BSP[0, chosen]


def _draw(case: _Case, spec: Any, sets: dict[str, Tensor], best_P: Tensor, stem: Path) -> None:
    """`<stem>-corner.png` of posteriors, and `<stem>-spectrum.png`."""
    batch = case.record.batch
    if sets:
        last_SP = list(sets.values())[-1]
        even = torch.linspace(0, len(last_SP) - 1, PLOTTED).long()
        drawn_SP = last_SP[even]
        figure = posterior_plots.corner(
            {label: samples.double().numpy() for label, samples in sets.items()},
            spec.parameters,
            points={"best fit": best_P.double().numpy()},
            title=Path(case.record.name).name,
        )
        write_atomically(stem.with_name(f"{stem.name}-corner.png"), style.to_png(figure))
    else:
        drawn_SP = best_P[None].float().expand(PLOTTED, -1)
    mean_P = drawn_SP.mean(0, keepdim=True)
    figure = predictive_plot.predictive(
        batch.counts_BC[0].double().numpy(),
        case.background_C.double().numpy(),
        float(batch.exposure_B[0]),
        spec.energy_edges,
        case.counts(drawn_SP).double().numpy(),
        case.terms(mean_P, batch.exposure_B)[0].double().numpy(),
        spec.components or emission.parse(spec.model).term_names,
        title=Path(case.record.name).name,
    )
    write_atomically(stem.with_name(f"{stem.name}-spectrum.png"), style.to_png(figure))
