"""Build a release: score what is new, group detections into sources, write it whole or not at all.

Shapes: N detections, K estimates of a model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.answering.scoring import Scoring
from wolter.catalogue import grouping, release, scored, tables
from wolter.catalogue.assemble import Assembled, Detections, Estimated, assemble
from wolter.catalogue.files import write
from wolter.catalogue.pictures.build import all_simulated, chosen, parted, picture, with_pictures
from wolter.catalogue.pictures.file import FILE as PICTURES
from wolter.catalogue.placing import place
from wolter.catalogue.positions import Positions, read_positions
from wolter.catalogue.publish import publications
from wolter.catalogue.score import ModelRef, Work, champions, score_shards
from wolter.catalogue.tables import PICTURE
from wolter.data.shards import REJECTS, ShardDataset, open_dataset
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.registry.checkpoint import Model
from wolter.xray.stats.upper_limit import upper_limit


@dataclass(frozen=True)
class BuildConfig:
    """How a release is built.

    Attributes:
        name: name of the release.
        about: what it holds, in a sentence; empty for the names of the datasets.
        models: FAMILY or FAMILY@VERSION of each model; empty for the champions.
        positions: table of positions; see `wolter.catalogue.positions`.
        upper_limits: table of rows of the table `upper_limit`.
        match_radius: detections so near each other are of one source, arcsec.
        scatter: seed of random places for simulated records without a position; None leaves them
            out.
        check: check the goodness of fit of observed records.
        quick_looks: keep a quick look at each detection, and pictures of each source.
        pictures: keep pictures of each source.
    """

    name: str
    about: str = ""
    models: tuple[str, ...] = ()
    positions: Path | None = None
    upper_limits: Path | None = None
    match_radius: float = 5.0
    scatter: int | None = None
    check: bool = True
    quick_looks: bool = True
    pictures: bool = True


@dataclass(frozen=True)
class Built:
    """Summary of a build.

    Attributes:
        path: folder of the release.
        about: its description.
        new: estimates that were made for it; the others were kept from earlier builds.
        usable: number of usable estimates by model, and
        estimates: of all.
        rejects: record and reason of each that is not in it.
        unread: model, dataset and reason of each pair that does not fit.
        shown: datasets of which it holds pictures;
        pictured: number of sources with pictures, and
        pictures: of those pictures;
        new_pictures: of records that pictures were made of for it.
    """

    path: Path
    about: release.Release
    new: int
    usable: dict[str, int]
    estimates: dict[str, int]
    rejects: tuple[tuple[str, str], ...]
    unread: tuple[tuple[str, str, str], ...]
    shown: tuple[Path, ...] = ()
    pictured: int = 0
    pictures: int = 0
    new_pictures: int = 0


def build(
    sources: Sequence[Path],
    config: BuildConfig,
    root: Path | None = None,
    store: Path | None = None,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
) -> Built:
    """Build a release of the catalogue from shard datasets; does not make it current.

    Args:
        sources: folders of datasets.
        config: how.
        root: folder of the releases; see `wolter.catalogue.release.folder`.
        store: folder of scored records; see `wolter.catalogue.scored.folder`.
        workers: scoring tasks at a time.
        on_shard: called with the number of rows as each shard is scored.

    Raises:
        InputError: the name is taken, a dataset, model or table is bad, simulated and observed
            datasets are mixed, two simulated ones have records of the same names, or no record is
            left.
    """
    release.check_new(config.name, root)
    given = Positions() if config.positions is None else read_positions(config.positions)
    limits = None if config.upper_limits is None else read_upper_limits(config.upper_limits)
    names, of_pictures = chosen(config.models)
    refs = tuple(map(ModelRef.of, names)) or champions()
    loaded = tuple(Loaded(ref, *ref.load()) for ref in refs)
    datasets, shown = parted([open_dataset(path) for path in sources])
    unread = _unread(datasets, loaded)
    if not (config.quick_looks and config.pictures):
        unread += tuple(("any model", str(data.path), "pictures are left out") for data in shown)
        shown = ()
    simulated = _all_simulated(datasets, loaded[0].scoring, shown)
    work = [
        Work(data, index, config.check and not simulated)
        for data in datasets
        for index in range(len(data.files))
    ]
    kept = scored.folder(store)
    new = score_shards(work, refs, kept, workers, on_shard)
    pictured = picture(shown, of_pictures, kept, workers, on_shard)
    facts, of_work = _facts(work, kept)
    if simulated:
        _check_names(facts["record"].to_pylist(), [work[i].dataset for i in of_work])
    scatter = config.scatter if simulated else None
    detections, row_of, rejects = place(facts, given, scatter)
    rejects += [pair for data in (*datasets, *shown) for pair in _dataset_rejects(data)]
    rejects += pictured.rejects
    rejects = list(dict.fromkeys(rejects))  # a file may be in two datasets
    if not len(detections.facts):
        first = rejects[0][1] if rejects else "the datasets are empty"
        raise InputError(f"{sources[0]}: no record can be placed: {first}")
    estimated = _estimated(loaded, work, kept, facts[scored.HASH].to_numpy(), of_work, row_of)
    if not config.quick_looks:
        estimated = [replace(each, look_axis=None) for each in estimated]
    assembled = assemble_from(
        config.name,
        config.about or ", ".join(data.path.name for data in datasets),
        simulated,
        detections,
        estimated,
        config.match_radius,
        release.folder(root).parent,
        limits,
        len(rejects),
    )
    with TemporaryDirectory(prefix=".pictures-", dir=make_folder(release.folder(root))) as folder:
        file = Path(folder) / PICTURES
        assembled = with_pictures(assembled, pictured, file)
        path = write(assembled, estimated, rejects, root, file)
    shown_of = assembled.rows.get(PICTURE.name, PICTURE.schema.empty_table())["source_id"]
    return Built(
        path,
        assembled.about,
        new,
        {e.model: int(np.sum(e.table["usable"].to_numpy(zero_copy_only=False))) for e in estimated},
        {e.model: len(e.table) for e in estimated},
        tuple(rejects),
        (*unread, *pictured.unread),
        tuple(data.path for data in shown),
        len(shown_of.unique()),
        len(shown_of),
        pictured.new,
    )


@dataclass(frozen=True)
class Loaded:
    """A loaded model, and what makes rows of it."""

    ref: ModelRef
    model: Model
    scoring: Scoring


def _all_simulated(
    datasets: Sequence[ShardDataset], scoring: Scoring, shown: Sequence[ShardDataset] = ()
) -> bool:
    """True if all datasets are simulated, false if none is.

    Args:
        datasets: that are scored.
        scoring: of a model of theirs.
        shown: of which there are pictures.

    Raises:
        InputError: some are: a release says of all its sources whether they are simulated.
    """
    kinds = all_simulated(shown) | {scoring.simulated(data): data.path for data in datasets}
    if len(kinds) > 1:
        raise InputError(
            f"{kinds[True]}: simulated, and {kinds[False]} is observed; give each a release of its "
            "own"
        )
    return True in kinds


def _check_names(records: Sequence[str], of: Sequence[ShardDataset]) -> None:
    """Check that no two simulated datasets have records of the same names.

    Raises:
        InputError: they have, as simulations of one seed do; these would be taken for one source.
    """
    first: dict[str, Path] = {}
    for record, data in zip(records, of, strict=True):
        if first.setdefault(record, data.path) != data.path:
            raise InputError(
                f"{data.path}: its records have the names of those in {first[record]}; simulate "
                "one of the two with another --seed"
            )


def _unread(
    datasets: Sequence[ShardDataset], loaded: Sequence[Loaded]
) -> tuple[tuple[str, str, str], ...]:
    """Model, dataset and reason of each pair that does not fit.

    Raises:
        InputError: no model reads a dataset.
    """
    unread: list[tuple[str, str, str]] = []
    for data in datasets:
        why = {each.ref.name: each.scoring.problem(each.model, data.spec) for each in loaded}
        if all(why.values()):
            told = "; ".join(f"{name} {reason}" for name, reason in why.items())
            raise InputError(f"{data.path}: no model reads it: {told}")
        unread += [(name, str(data.path), reason) for name, reason in why.items() if reason]
    return tuple(unread)


def _estimated(
    loaded: Sequence[Loaded],
    work: Sequence[Work],
    kept: Path,
    hash_N: NDArray[np.int64],
    of_work: NDArray[np.int64],
    row_of: NDArray[np.int64],
) -> list[Estimated]:
    """Estimates of each model, one of each detection that it has read."""
    checked = np.array([each.check for each in work])
    found = []
    for each in loaded:
        problem = each.scoring.problem
        reads = np.array([not problem(each.model, one.dataset.spec) for one in work])
        rows = np.flatnonzero(reads[of_work] & (row_of >= 0))
        _, first = np.unique(row_of[rows], return_index=True)  # a record may be in two datasets
        rows = rows[first]
        if len(rows):
            table = _read(kept, each.ref, hash_N[rows], checked[of_work][rows])
            found.append(
                Estimated(
                    each.ref.name,
                    each.ref.version,
                    each.scoring.columns(each.model),
                    each.scoring.published(each.model),
                    row_of[rows],
                    table,
                    each.scoring.latents(each.model),
                    each.scoring.axes(each.model),
                    each.scoring.look_axis(each.model),
                )
            )
    return found


def assemble_from(
    name: str,
    about: str,
    simulated: bool,
    detections: Detections,
    estimated: Sequence[Estimated],
    match_radius: float = 5.0,
    kept: Path | None = None,
    upper_limits: pa.Table | None = None,
    rejects: int = 0,
) -> Assembled:
    """Group detections into sources, and make all tables of a release.

    Args:
        name: name of the release.
        about: what it holds.
        simulated: its sources are simulated.
        detections: where and when.
        estimated: what models say.
        match_radius: see `BuildConfig`.
        kept: folder that remembers identifiers of sources; None for none.
        upper_limits: rows of that table.
        rejects: records that are left out.
    """
    facts = detections.facts
    ra_N, dec_N = facts["ra"].to_numpy(), facts["dec"].to_numpy()
    detection_id_N = grouping.identifiers(facts["record"].to_pylist())
    label_N = grouping.group(ra_N, dec_N, detections.given, match_radius)
    source_id_M = grouping.source_ids(detection_id_N, label_N, kept)
    # Latents first: the plain names are theirs where two models have the same.
    ordered = sorted(estimated, key=lambda each: not each.latents)
    taken = [column.name for column in tables.source(()).columns]
    published = publications([(e.model, e.outputs, e.published) for e in ordered], taken)
    return assemble(name, about, simulated, detections, ordered, published, label_N, source_id_M,
                    detection_id_N, upper_limits, rejects)  # fmt: skip


def read_upper_limits(path: Path) -> pa.Table:
    """Read rows of the table `upper_limit` from a parquet file.

    Without a column `rate_upper` the limits are those of the counts, the background and the
    exposure; see `wolter.xray.stats.upper_limit`.

    Raises:
        InputError: the file cannot be read, lacks a column, or holds counts that are none.
    """
    try:
        table = pq.read_table(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: no parquet file that can be read; check it") from error
    wanted = [name for name in tables.UPPER_LIMIT.schema.names if name != "release"]
    seen = ("counts", "background", "exposure_s")
    if "rate_upper" not in table.column_names and set(seen) <= set(table.column_names):
        counts_N, background_N, exposure_N = (_numbers(table, name) for name in seen)
        if not (counts_N >= 0).all() or not (background_N >= 0).all() or not (exposure_N > 0).all():
            raise InputError(
                f"{path}: counts and background must be 0 or more, exposure_s above 0; correct it"
            )
        rates_N = upper_limit(counts_N, background_N) / exposure_N
        table = table.append_column("rate_upper", pa.array(rates_N))
    lacking = [name for name in wanted if name not in table.column_names]
    if lacking:
        raise InputError(f"{path}: no column {', '.join(lacking)}; add it")
    return table.select(wanted)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return table[name].to_numpy().astype(np.float64)  # type: ignore[no-any-return]


def _facts(work: Sequence[Work], kept: Path) -> tuple[pa.Table, NDArray[np.int64]]:
    """Facts of all shards, and the number of the shard of each row."""
    parts, number = [], []
    for i, each in enumerate(work):
        facts = scored.read_facts(kept, each.sha256)
        assert facts is not None, each
        parts.append(facts)
        number.append(np.full(len(facts), i))
    return pa.concat_tables(parts), np.concatenate(number)


def _read(
    kept: Path, ref: ModelRef, hash_K: NDArray[np.int64], checked_K: NDArray[np.bool_]
) -> pa.Table:
    """Estimates of records, of which some were checked and others not, in their order."""
    parts, order = [], []
    for checked in (False, True):
        rows = np.flatnonzero(checked_K == checked)
        if len(rows):
            folder = scored.of_model(kept, ref.name, ref.version, checked)
            parts.append(scored.read_scores(folder, hash_K[rows]))
            order.append(rows)
    back = np.argsort(np.concatenate(order))
    return pa.concat_tables(parts).take(pa.array(back))


def _dataset_rejects(data: ShardDataset) -> list[tuple[str, str]]:
    """Files that were rejected when a dataset was made."""
    file = data.path / REJECTS
    if not file.is_file():
        return []
    table = pq.read_table(file)
    return list(zip(table["file"].to_pylist(), table["reason"].to_pylist(), strict=True))
