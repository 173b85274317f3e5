"""The training loop in plain torch: the same code in one process, in a Ray worker, on a GPU."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from wolter.data.batches import Reader, epoch_seed
from wolter.errors import InputError
from wolter.family import Family
from wolter.train.optimisers import OPTIMISERS, optimisers


@dataclass(frozen=True)
class TrainConfig:
    """Training settings.

    Attributes:
        epochs: passes over the training split.
        fraction: fraction of the training split's sources to use; below 1 for quick trials.
        batch_size: records a step, over all workers together.
        optimiser: adamw or muon; see `wolter.train.optimisers`.
        learning_rate: peak learning rate of a one-cycle schedule: linear warm-up, then cosine to 0.
        weight_decay: decoupled weight decay of the optimiser.
        warmup: fraction of all steps with a rising learning rate.
        clip: largest gradient norm; larger gradients are scaled down.
        fresh_noise: draw new Poisson noise each epoch, where noise-free counts are stored.
        observed_fraction: fraction of observed records in every batch, with --observed.
        trainable: names of the module's parts to train, the others frozen; empty trains all.
        precision: float32, bf16, or auto (bf16 on a GPU).
        device: auto, cpu or cuda.
        seed: seed of initial weights, order of records and noise.
    """

    epochs: int = 30
    fraction: float = 1.0
    batch_size: int = 512
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    clip: float = 1.0
    fresh_noise: bool = True
    observed_fraction: float = 0.25
    trainable: tuple[str, ...] = ()
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0:
            raise InputError("train: epochs, batch_size and learning_rate must be positive")
        if not 0 < self.fraction <= 1:
            raise InputError(f"train: fraction = {self.fraction}; give 0 < fraction <= 1")
        if not 0 < self.observed_fraction < 1:
            raise InputError(
                f"train: observed_fraction = {self.observed_fraction}; give 0 < it < 1"
            )
        if self.optimiser not in OPTIMISERS:
            raise InputError(f"optimiser {self.optimiser!r}: choose {' or '.join(OPTIMISERS)}")
        if self.precision not in ("auto", "float32", "bf16"):
            raise InputError(f"precision {self.precision!r}: choose auto, float32 or bf16")
        if self.device.split(":")[0] not in ("auto", "cpu", "cuda"):
            raise InputError(f"device {self.device!r}: choose auto, cpu or cuda")

    @property
    def split(self) -> str:
        """Name of what is trained on; see `wolter.data.split.split_bounds`."""
        return "train" if self.fraction == 1 else f"train:{self.fraction}"


@dataclass
class Epoch:
    """Result of one epoch.

    Attributes:
        number: epochs done.
        rows: records trained on, by all workers.
        seconds: training time, without validation.
        train: means of the loss and its parts over these records.
        validation: means of the family's metrics over the validation split.
        ended: Unix time of the end, s.
    """

    number: int
    rows: int
    seconds: float
    train: dict[str, float]
    validation: dict[str, float] = field(default_factory=dict)
    ended: float = field(default_factory=time.time)


OnEpoch = Callable[[Epoch], None]
OnStep = Callable[[float], None]
"""Told the epochs done, parts of one included."""


def choose_device(name: str) -> torch.device:
    """Choose a torch device by name; auto takes the GPU if there is one.

    Raises:
        InputError: "cuda" is asked for and there is none.
    """
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("device 'cuda': no GPU is visible here; use --train.device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def build(family: Family, config: Any, spec: Any, seed: int) -> nn.Module:
    """Build a family's module with weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.build(config, spec)


def default_config(family: Family) -> TrainConfig:
    """Default training settings of a family."""
    return TrainConfig(**family.defaults)


class _Loss(nn.Module):
    """The family's loss as a module's forward, which is where DDP hooks in."""

    def __init__(self, family: Family, module: nn.Module) -> None:
        super().__init__()
        self.family, self.module = family, module

    def forward(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return self.family.loss(self.module, batch)


def _freeze_others(module: nn.Module, names: tuple[str, ...]) -> None:
    """Let only some parts of a module learn."""
    weights = dict(module.named_parameters())
    for part in names:
        if not any(name.startswith(f"{part}.") for name in weights):
            parts = sorted({name.partition(".")[0] for name in weights})
            raise InputError(f"train: trainable = {part}; choose of: {', '.join(parts)}")
    for name, weight in weights.items():
        weight.requires_grad_(any(name.startswith(f"{part}.") for part in names))


class Trainer:
    """Module, optimisers and progress of one training run."""

    def __init__(
        self, family: Family, module: nn.Module, config: TrainConfig, rows: int, rank: int = 0
    ) -> None:
        """Prepare a run.

        Args:
            family: the family of the module.
            module: module of `build`, with learnt normalisation.
            config: training settings.
            rows: rows of the training split over all workers, which sets the schedule's length.
            rank: number of this worker.

        Raises:
            InputError: no part of the module has a name of `config.trainable`, or the device is
                missing.
        """
        self.family, self.config, self.rank = family, config, rank
        self.device = choose_device(config.device)
        self.module = module.to(self.device)
        if config.trainable:
            _freeze_others(module, config.trainable)
        self.optimisers = optimisers(
            module, config.optimiser, config.learning_rate, config.weight_decay
        )
        self.epoch = 0  # epochs done
        self.steps_per_epoch = max(1, math.ceil(rows / config.batch_size))
        bf16 = config.precision == "bf16" or (
            config.precision == "auto" and self.device.type == "cuda"
        )
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)

    def learning_rate(self, step: int) -> float:
        """Learning rate at a step of the whole run."""
        total = self.steps_per_epoch * self.config.epochs
        warmup = max(1, round(self.config.warmup * total))
        if step < warmup:
            return self.config.learning_rate * (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def run(
        self,
        train: Reader,
        validate: Reader | None = None,
        wrap: Callable[[nn.Module], nn.Module] = lambda module: module,
        total: Callable[[Tensor], Tensor] = lambda sums: sums,
        on_epoch: OnEpoch | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        """Train from `self.epoch` to the last epoch.

        Args:
            train: batches of the training split (this worker's share).
            validate: batches of the validation split; None skips validation.
            wrap: wraps the loss module, e.g. in DistributedDataParallel.
            total: adds a tensor up over all workers, which then agree on every number.
            on_epoch: called after each epoch, when `self.epoch` counts it as done.
            on_step: called after each step.

        Raises:
            InputError: the training split gave no rows, or the loss stopped being finite.
        """
        loss_module = wrap(_Loss(self.family, self.module))
        while self.epoch < self.config.epochs:
            start = time.perf_counter()
            sums = self._train_epoch(loss_module, train, on_step)
            means, rows = self._means(sums, total)
            seconds = time.perf_counter() - start
            if self.epoch + 1 == self.config.epochs:
                self._settle(train)
            validation = {} if validate is None else self.validate(validate)
            self.epoch += 1
            if on_epoch is not None:
                on_epoch(Epoch(self.epoch, rows, seconds, means, validation))

    def _train_epoch(
        self, loss_module: nn.Module, train: Reader, on_step: OnStep | None
    ) -> dict[str, Tensor]:
        """Train on this worker's rows; return sums over them, and their number."""
        self.module.train()
        sums: dict[str, Tensor] = {}
        # The state of dropout follows from the epoch, so that a resumed run repeats it.
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(epoch_seed(self.config.seed, self.epoch, self.rank, purpose=1))
            for i, batch in enumerate(train(self.epoch)):
                step = self.epoch * self.steps_per_epoch + i
                with self.autocast:
                    loss, parts = loss_module(batch.to(self.device))
                self.module.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip)
                for optimiser in self.optimisers:
                    for group in optimiser.param_groups:
                        group["lr"] = self.learning_rate(step)
                    optimiser.step()
                one = torch.ones((), device=self.device)
                for name, value in {"rows": one, "loss": loss.detach(), **parts}.items():
                    sums[name] = sums.get(name, 0.0) + len(batch) * value
                if on_step is not None:
                    on_step(self.epoch + min(1.0, (i + 1) / self.steps_per_epoch))
        return sums

    @torch.no_grad()
    def _settle(self, train: Reader) -> None:
        """Have the family set what follows from its trained weights."""
        if self.family.settle is None:
            return
        self.module.eval()
        # Batches of an epoch that nothing was trained on: fresh noise, another order.
        batches = (batch.to(self.device) for batch in train(self.config.epochs))
        self.family.settle(self.module, batches)

    def _means(
        self, sums: dict[str, Tensor], total: Callable[[Tensor], Tensor]
    ) -> tuple[dict[str, float], int]:
        if not sums:
            raise InputError("the training split has no rows; use a dataset with more records")
        totals = total(torch.stack(list(sums.values())).double()).tolist()
        values = dict(zip(sums, totals, strict=True))
        rows = values.pop("rows")
        means = {name: value / rows for name, value in values.items()}
        if not math.isfinite(means["loss"]):
            raise InputError(
                f"epoch {self.epoch + 1}: the loss is {means['loss']}; lower --train.learning-rate "
                f"(now {self.config.learning_rate})"
            )
        return means, round(rows)

    @torch.no_grad()
    def validate(self, reader: Reader) -> dict[str, float]:
        """The family's metrics, averaged over the rows of the batches that have them."""
        self.module.eval()
        sums: dict[str, float] = {}
        rows: dict[str, int] = {}
        for batch in reader(0):
            for name, value in self.family.measure(self.module, batch.to(self.device)).items():
                sums[name] = sums.get(name, 0.0) + len(batch) * float(value)
                rows[name] = rows.get(name, 0) + len(batch)
        return {name: total / rows[name] for name, total in sums.items()}
