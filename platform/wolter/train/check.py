"""Check a family before it is trained: its task, its metrics, its outputs of a plain record."""

from typing import Any

import torch
from torch import nn

from wolter import task as tasks
from wolter.errors import InputError
from wolter.family import Family
from wolter.outputs import mismatch

N = 2  # plain records that are predicted


@torch.inference_mode()
def check_family(family: Family, config: Any, module: nn.Module, spec: Any) -> None:
    """Check a family's declared metrics and outputs against its functions.

    Args:
        family: to check.
        config: config of the module.
        module: built from the config; it need not be trained.
        spec: spec of the records.

    Raises:
        InputError: the task is unknown, no outputs or metrics are declared, or plain records are
            not predicted as the outputs say.
    """
    if family.task not in tasks.names():
        known = ", ".join(tasks.names())
        raise InputError(
            f"family {family.name}: unknown task {family.task!r}; choose one of: {known}"
        )
    outputs = family.outputs(config, spec)
    if not outputs:
        raise InputError(f"family {family.name}: has no outputs; declare what it predicts")
    if not family.metrics:
        raise InputError(
            f"family {family.name}: has no metrics; declare what models are compared by"
        )
    module.eval()
    try:
        values = family.predict(module, tasks.load(family.task).kind.example(spec, N))
    except Exception as error:  # whatever the family's code raises
        raise InputError(
            f"family {family.name}: does not predict a plain record: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}; correct its predict"
        ) from error
    if wrong := mismatch(outputs, values, N):
        raise InputError(f"family {family.name}: {wrong}; correct its outputs or its predict")
