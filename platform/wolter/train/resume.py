"""Resuming a training run: optimiser state and progress, beside the model's checkpoint.

`optimiser.safetensors` and `state.json` hold what resumes the run. All random numbers follow from
the seed and the epoch, so that a resumed run gives the weights of an uninterrupted one.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from wolter.files import write_atomically
from wolter.registry.checkpoint import WEIGHTS, Card, save_model
from wolter.train.loop import Trainer

OPTIMISER, STATE = "optimiser.safetensors", "state.json"


def save_training(folder: Path, card: Card, trainer: Trainer) -> None:
    """Write a resumable training checkpoint into an empty folder."""
    save_model(folder, card, trainer.module)
    tensors: dict[str, Tensor] = {}
    for number, optimiser in enumerate(trainer.optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensor = torch.as_tensor(value).detach().cpu().contiguous()
                tensors[f"{number}.{index}.{name}"] = tensor
    write_atomically(folder / OPTIMISER, save(tensors))
    write_atomically(folder / STATE, f"{json.dumps({'epoch': trainer.epoch})}\n".encode())


def resume_training(folder: Path, trainer: Trainer) -> None:
    """Restore a trainer from a checkpoint of `save_training`."""
    trainer.module.load_state_dict(load_file(folder / WEIGHTS))
    tensors = load_file(folder / OPTIMISER)
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in trainer.optimisers]
    for key, value in tensors.items():
        number, index, name = key.split(".", 2)
        states[int(number)].setdefault(int(index), {})[name] = value
    for optimiser, state in zip(trainer.optimisers, states, strict=True):
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    trainer.epoch = json.loads((folder / STATE).read_text())["epoch"]
