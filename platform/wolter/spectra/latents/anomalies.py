"""Anomaly scores of models: ranks of injected oddities, and quality vetoes, as tables.

Shapes: N source.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from wolter.report.table import Column, Line, Table
from wolter.spectra.latents.oddities import ODDITIES
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.scores import ALL, FEW, Mask, Score, by_counts, columns
from wolter.spectra.latents.shown import SHOWN, classifier_scores, features
from wolter.spectra.latents.sources import Array, Indices, Outputs, Sources, encode
from wolter.spectra.latents.study import Study

ANOMALY = "anomaly"  # output
TOP = 2.0  # percent
_INJECTED = 400  # records of each oddity
_FEW_COUNTS = 10.0
_LEAST_AREA_CM2 = 1.0
NOT_INJECTED = (
    f"No oddities were injected: fewer than {FEW} records to judge by have no veto, or fewer than "
    f"{FEW} are there to learn from."
)
_BAND_KEV = (0.7, 6.0)  # that must be covered


def ranks(injected_N: Array, all_M: Array) -> Array:
    """Percentage (N) of all records whose score is above each injected one's, or as high."""
    ascending = np.sort(all_M)
    above_N = len(all_M) - np.searchsorted(ascending, injected_N, side="left")
    percent_N: Array = 100.0 * above_N / len(all_M)
    return percent_N


def vetoes(sources: Sources) -> Mapping[str, Mask]:
    """Reasons why the anomaly of a record means little, with the records (N) that have each."""
    batch = sources.batch
    found: dict[str, Mask] = {
        f"fewer than {_FEW_COUNTS:g} net counts": sources.counts_N < _FEW_COUNTS,
        "no background spectrum": (batch.background_scale_B <= 0).numpy(),
    }
    if batch.folding_area_BF is not None:
        from wolter.spectra.folding import bands_kev

        energy_F = bands_kev()
        inside_F = (energy_F >= _BAND_KEV[0]) & (energy_F <= _BAND_KEV[1])
        least_N = torch.nan_to_num(batch.folding_area_BF[:, inside_F]).amin(1)
        name = f"band not covered: below {_LEAST_AREA_CM2:g} cm^2 between 0.7 and 6 keV"
        found[name] = (least_N < _LEAST_AREA_CM2).numpy()
    return found


def part(study: Study) -> Part:
    """Ranks of injected oddities among the records that are judged, and vetoes.

    Beside them what a classifier reaches that was shown each kind of oddity.
    """
    labels = [
        label
        for label, values in study.tested.items()
        if ANOMALY in values and np.isfinite(values[ANOMALY]).all()  # NaN of few training spectra
    ]
    batch = study.test.batch
    if not labels:
        return Part()
    tables = [_vetoes(study, labels)]
    metrics: dict[str, dict[str, float]] = {}
    if batch.expected_BKC is None or batch.folding_area_BF is None:
        return Part(tuple(tables), metrics)
    vetoed_N = np.any(list(vetoes(study.test).values()), axis=0)
    kept = np.flatnonzero(~vetoed_N)
    if len(kept) < FEW or len(study.train) < FEW:
        return Part(tuple(tables), metrics, remarks=(NOT_INJECTED,))
    generator = np.random.default_rng(study.options.seed)
    some_N = np.sort(generator.permutation(kept)[:_INJECTED])
    chosen = batch[_index(some_N)]
    order_N = generator.permutation(len(study.train))
    shown_N, usual_N = np.split(order_N, [min(SHOWN, len(order_N) // 4)])
    shown, usual = study.train.batch[_index(shown_N)], study.train.batch[_index(usual_N)]
    edges = torch.tensor(study.test.spec.energy_edges)
    remarks: list[str] = []
    for label, model in zip(study.labels, study.models, strict=True):
        if label not in labels:
            continue
        all_M = study.tested[label][ANOMALY][kept]
        judged_MX = features(batch[_index(kept)], _some(study.tested[label], kept))
        usual_NX = features(usual, _some(study.outputs[label][0], usual_N))
        top, middle, best, metrics[label] = [], [], [], {}
        for name, inject in ODDITIES.items():
            drawn = torch.Generator().manual_seed(study.options.seed)
            odd = inject(chosen, edges, drawn)
            seen_N = odd.counts_BC.sum(1) > 0
            if not seen_N.all():
                none = f"{name}: {int((~seen_N).sum())} of {len(odd)} have no counts, and no rank."
                remarks.append(none)
            if not seen_N.any():
                continue
            odd, example = odd[seen_N], inject(shown, edges, drawn)
            counts_N = study.test.counts_N[some_N[seen_N.numpy()]]
            outputs = encode(model, odd)
            told = classifier_scores(
                usual_NX,
                features(example, encode(model, example)),
                (features(odd, outputs), judged_MX),
                study.options.seed,
            )
            row = f"{name} ({study.origin})"
            rank_N = ranks(outputs[ANOMALY], all_M)
            shares = by_counts(partial(_share, rank_N), counts_N)
            medians = by_counts(partial(_median, rank_N), counts_N)
            shares_shown = by_counts(partial(_share, ranks(*told)), counts_N)
            top.append(_line(row, shares, 100.0))
            middle.append(Line(row, "measured", {k: v.value for k, v in medians.items()}, {}))
            best.append(_line(row, shares_shown, 100.0))
            key = name.replace(" ", "_").replace("-", "_").lower()
            for prefix, found in (("anomaly_top", shares), ("anomaly_shown_top", shares_shown)):
                if ALL.name in found:
                    metrics[label][f"{prefix}_{key}"] = 100 * found[ALL.name].value
        title = f"Injected oddities in the top {TOP:g} % of anomalies, percent: {label}"
        tables.append(Table(title, columns("most"), tuple(top)))
        title = f"The same by a classifier that was shown {len(shown):,} of each, percent: {label}"
        tables.append(Table(title, columns("none"), tuple(best)))
        title = f"Median rank of injected oddities, percent of records above: {label}"
        tables.append(Table(title, columns("least"), tuple(middle)))
    return Part(tuple(tables), metrics, remarks=tuple(remarks))


def _index(rows: Indices) -> torch.Tensor:
    return torch.from_numpy(rows)


def _some(outputs: Outputs, rows: Indices | slice) -> Outputs:
    """Outputs of some records."""
    return {name: values[rows] for name, values in outputs.items()}


def _share(rank_N: Array, mask_N: Mask) -> Score:
    """Share of the records of a mask in the top, with its binomial error."""
    inside = rank_N[mask_N] <= TOP
    share = (inside.sum() + 1) / (len(inside) + 2)
    return Score(float(inside.mean()), float(np.sqrt(share * (1 - share) / len(inside))))


def _median(rank_N: Array, mask_N: Mask) -> Score:
    return Score(float(np.median(rank_N[mask_N])), 0.0)


def _line(row: str, scores: Mapping[str, Score], factor: float) -> Line:
    values = {name: factor * score.value for name, score in scores.items()}
    errors = {name: factor * score.error for name, score in scores.items()}
    return Line(row, "measured", values, errors)


def _vetoes(study: Study, labels: list[str]) -> Table:
    """Share of records with each veto, of all and of the most anomalous."""
    heads = [Column("all", "of all records", "%", "none")]
    heads += [Column(label, f"of the top {TOP:g} %: {label}", "%", "none") for label in labels]
    lines = []
    for name, mask_N in vetoes(study.test).items():
        values = {"all": 100 * float(mask_N.mean())}
        for label in labels:
            score_N = study.tested[label][ANOMALY]
            top_N = score_N >= np.quantile(score_N, 1 - TOP / 100)
            values[label] = 100 * float(mask_N[top_N].mean())
        lines.append(Line(f"{name} ({study.origin})", "measured", values, {}))
    return Table("Quality vetoes of anomalies", tuple(heads), tuple(lines))
