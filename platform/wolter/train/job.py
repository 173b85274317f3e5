"""Training jobs: the serialisable description of a run, and the objects of one worker."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter import family as families
from wolter.data.batches import BatchConfig, Reader, count_rows, sample_split, spread_split
from wolter.data.mixing import MixedReader, observed_rows
from wolter.data.record_kinds import record_kind
from wolter.data.schema import RecordBatch
from wolter.data.shards import ShardDataset, open_dataset
from wolter.errors import InputError
from wolter.registry.checkpoint import Card, load_model, provenance
from wolter.train.check import check_family
from wolter.train.loop import TrainConfig, Trainer, build, default_config


@dataclass(frozen=True)
class ScaleConfig:
    """Resources of a run on Ray.

    Attributes:
        workers: training processes in the whole cluster.
        min_workers: smallest number of workers to go on with when nodes are lost, growing again
            when they come back; 0 waits for the full number.
        use_gpu: one GPU for each worker: yes, no, or auto (if the cluster has enough).
        cpus_per_worker: logical CPUs reserved for a worker; a fraction leaves some of a small
            machine to Ray Data, which feeds the workers.
        threads_per_worker: torch threads of a worker on the CPU; 0 divides the cores. On a machine
            busy with other work, 1 can be many times faster.
        max_failures: number of times that lost workers are replaced, from the last epoch on.
        cache_gib: largest dataset to keep in memory, GiB over all workers; a larger one is
            streamed from disk every epoch.
    """

    workers: int = 1
    min_workers: int = 0
    use_gpu: str = "auto"
    cpus_per_worker: float = 0.5
    threads_per_worker: int = 0
    max_failures: int = 2
    cache_gib: float = 8.0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.workers < 1 or not 0 <= self.min_workers <= self.workers:
            raise InputError(
                f"scale: workers = {self.workers}, min_workers = {self.min_workers}; "
                "give 1 <= workers and 0 <= min_workers <= workers"
            )
        if self.use_gpu not in ("auto", "yes", "no"):
            raise InputError(f"scale: use_gpu = {self.use_gpu!r}; choose auto, yes or no")


@dataclass(frozen=True)
class Job:
    """Complete description of a training run, for its workers.

    Attributes:
        family: name of the family.
        config: complete config of the family.
        train: training settings.
        dataset: absolute path of the shard dataset.
        rows: records of its training split.
        validation_rows: records of its validation split.
        cache_bytes: keep the dataset in memory if it takes at most this.
        threads: torch threads of a worker; 0 divides the cores.
        start: checkpoint folder or card of the weights to start from; empty for fresh ones.
        observed: absolute path of a dataset of observed records to mix in; empty for none.
    """

    family: str
    config: dict[str, Any]
    train: TrainConfig
    dataset: str
    rows: int
    validation_rows: int
    cache_bytes: int
    threads: int = 0
    start: str = ""
    observed: str = ""


@dataclass(frozen=True)
class Prepared:
    """Trainer, datasets and readers of one worker.

    Attributes:
        trainer: trainer with the module.
        card: card of its checkpoints.
        dataset: simulated records.
        train: batch settings of the training split, to which `n_observed` rows are added.
        validation: batch settings of the validation split.
        observed: records to mix in; None for none.
        n_observed: rows of each full batch that are observed.
    """

    trainer: Trainer
    card: Card
    dataset: ShardDataset
    train: BatchConfig
    validation: BatchConfig
    observed: RecordBatch | None = None
    n_observed: int = 0

    def mix(self, simulated: Reader) -> Reader:
        """Training batches: simulated records, with observed ones mixed in."""
        if self.observed is None:
            return simulated
        return MixedReader(simulated, self.observed, self.n_observed, self.train)


def make_job(
    family: str,
    dataset: ShardDataset,
    config: Any = None,
    train: TrainConfig | None = None,
    scale: ScaleConfig | None = None,
    start: Path | None = None,
    observed: Path | None = None,
) -> Job:
    """Check the input of a run, which builds its module once; see `train` for the arguments.

    Raises:
        InputError: the family or its config is unknown, its predictions are not as it declares,
            they do not fit the dataset or the weights to start from, the observed records do not
            fit the simulated ones, or there are fewer training rows, or rows in a batch, than
            workers.
    """
    loaded = families.load(family)
    train, scale = train or default_config(loaded), scale or ScaleConfig()
    if dataset.manifest.kind != loaded.kind:
        raise InputError(
            f"{dataset.path}: holds {dataset.manifest.kind} and {family} reads {loaded.kind}; "
            "choose another family or dataset"
        )
    given = configs.to_dict(config) if config else {}
    typed = configs.from_dict(loaded.config, given)
    if start is not None:
        typed = _started(start, family, given, dataset)
    check_family(loaded, typed, build(loaded, typed, dataset.spec, train.seed), dataset.spec)
    if loaded.needs_observed and observed is None:
        raise InputError(
            f"{family} learns from observed {loaded.kind} as well; give --observed DIR"
        )
    if observed is not None:
        mixed = record_kind(loaded.kind).observed
        if mixed is None:
            raise InputError(
                f"{observed}: observed {loaded.kind} are not mixed in; train on simulated "
                f"{loaded.kind} first, then with --from on observed ones"
            )
        mixed.check(open_dataset(observed), dataset.spec)
        observed_rows(train.batch_size // scale.workers, train.observed_fraction)
    rows = count_rows(dataset, train.split)
    if min(rows, train.batch_size) < scale.workers:
        raise InputError(
            f"{dataset.path}: {rows} training rows in batches of {train.batch_size} cannot be "
            f"shared by {scale.workers} workers; use more records or fewer workers"
        )
    return Job(
        family=family,
        config=configs.to_dict(typed),
        train=train,
        dataset=str(dataset.path.absolute()),
        rows=rows,
        validation_rows=count_rows(dataset, "validation"),
        cache_bytes=round(scale.cache_gib * 2**30),
        threads=scale.threads_per_worker,
        start="" if start is None else str(start.absolute()),
        observed="" if observed is None else str(observed.absolute()),
    )


def _started(start: Path, family: str, given: dict[str, Any], dataset: ShardDataset) -> Any:
    """Config of the weights to start from, which must fit family, given config and dataset."""
    model = load_model(start)
    if model.family.name != family:
        raise InputError(f"{start}: weights of {model.family.name}; {family} starts from its own")
    typed = configs.from_dict(model.family.config, model.card.config)
    own = configs.to_dict(typed)
    differing = [key for key, value in given.items() if own[key] != value]
    if differing:
        raise InputError(f"{start}: has another {', '.join(differing)}; leave that out")
    mismatch = model.card.spec.mismatch(dataset.spec)
    if mismatch:
        raise InputError(f"{start}: {mismatch} than {dataset.path} holds; start from other weights")
    return typed


def prepare(
    job: Job, rank: int = 0, world: int = 1, device: str | None = None, resume: bool = False
) -> Prepared:
    """Build the trainer of one of `world` workers, with the same weights on all workers.

    Args:
        job: training job.
        rank: number of this worker.
        world: number of workers.
        device: of this worker; None takes the job's.
        resume: leave the normalisation to the checkpoint that will be loaded.

    Raises:
        InputError: the dataset cannot be read here, or the device is missing.
    """
    size = job.train.batch_size // world
    train = replace(job.train, batch_size=size * world, device=device or job.train.device)
    family = families.load(job.family)
    dataset = open_dataset(job.dataset)
    spec, kind = dataset.spec, record_kind(dataset.manifest.kind)
    lineage: tuple[dict[str, Any], ...] = ()
    drawn = train.split, kind.sample_rows(spec)
    sample = sample_split(dataset, *drawn)
    if job.start:  # with the normalisation that its weights belong to
        model = load_model(Path(job.start))
        module, spec, lineage = model.module, model.card.spec, model.card.history
    else:
        module = build(family, configs.from_dict(family.config, job.config), spec, train.seed)
        if not resume:
            family.normalise(module, sample)
    n_observed = observed_rows(size, train.observed_fraction) if job.observed else 0
    steps = math.ceil(job.rows // world / (size - n_observed))
    trainer = Trainer(family, module, train, steps * size * world, rank)
    batches = BatchConfig(
        size=size - n_observed,
        fresh_noise=train.fresh_noise,
        seed=train.seed,
        rank=rank,
        cache_bytes=job.cache_bytes,
        device=str(trainer.device),
    )
    stored = replace(batches, size=kind.batch_rows(spec), shuffle=False, fresh_noise=False)
    card = Card(
        family=job.family,
        config=job.config,
        spec=spec,
        dataset_sha256=dataset.sha256(),
        seed=train.seed,
        dataset=provenance(dataset.manifest),
        trainable=train.trainable,
        lineage=lineage,
        trained=None if kind.ranges is None else kind.ranges.of(spread_split(dataset, *drawn)),
    )
    observed = None
    if job.observed:
        assert kind.observed is not None
        observed = kind.observed.read(open_dataset(job.observed))
    return Prepared(trainer, card, dataset, batches, stored, observed, n_observed)
