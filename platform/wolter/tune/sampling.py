"""Drawing configs of a family from its search space."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wolter import config as configs
from wolter.errors import InputError
from wolter.family import Choice, Family, Range

TRIES = 200  # draws for each config that is wanted, of which some contradict themselves


def subspace(family: Family, keys: Sequence[str] = ()) -> dict[str, Choice | Range]:
    """These keys of a family's search space; all of them where none are named.

    Raises:
        InputError: a key is not in the space, or there is no space.
    """
    if not family.search_space:
        raise InputError(f"{family.name}: has no search space; train it as it is")
    unknown = [key for key in keys if key not in family.search_space]
    if unknown:
        raise InputError(
            f"--over {', '.join(unknown)}: not in the search space of {family.name}; choose from "
            f"{', '.join(family.search_space)}"
        )
    return {key: family.search_space[key] for key in keys or family.search_space}


def draw(
    family: Family,
    base: Mapping[str, Any],
    space: Mapping[str, Choice | Range],
    n: int,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """`n` complete configs, all different: first the base, then random ones of the space.

    Values that contradict each other are drawn anew.

    Args:
        family: whose configs they are.
        base: keys that differ from the family's defaults; those of the space are replaced.
        space: what to vary.
        n: configs.
        seed: seed of the draws.

    Raises:
        InputError: the base is not a config, or the space holds fewer than `n`.
    """
    found = [configs.to_dict(configs.from_dict(family.config, dict(base)))]
    generator = np.random.default_rng(seed)
    reason = ""
    for _ in range(TRIES * n):
        if len(found) >= n:
            return found[:n]
        point = {key: _draw(each, generator) for key, each in space.items()}
        try:
            typed = configs.from_dict(family.config, {**base, **point})
        except InputError as error:
            reason = f" ({error})"
            continue
        config = configs.to_dict(typed)
        if config not in found:
            found.append(config)
    raise InputError(
        f"{family.name}: {n} trials, and {', '.join(space)} give {len(found)} different configs"
        f"{reason}; use fewer trials or vary more"
    )


def _draw(space: Choice | Range, generator: np.random.Generator) -> Any:
    if isinstance(space, Choice):
        return space.values[int(generator.integers(len(space.values)))]
    if space.log:
        low, high = np.log((space.low, space.high))
        return float(np.clip(np.exp(generator.uniform(low, high)), space.low, space.high))
    return float(generator.uniform(space.low, space.high))
