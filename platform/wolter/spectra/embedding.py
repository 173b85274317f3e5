"""Latents of spectrum files, as an array.

Shapes: L latent, N file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack, cast

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.registry.mlflow_store import CHAMPION
from wolter.registry.pretrained import locate
from wolter.spectra.kind import KIND
from wolter.spectra.predict import CHUNK, predict_batch
from wolter.spectra.reading import Reading, read_record
from wolter.spectra.schema import SpectraBatch, SpectraSpec

LATENT = "latent"  # output of families of the task spectra/embedding


def embed(
    files: Sequence[str | Path] | str | Path,
    model: str = "autoencoder",
    version: str = CHAMPION,
    *,
    rejects: list[tuple[str, str]] | None = None,
    **reading: Unpack[Reading],
) -> NDArray[np.float32]:
    """Embed X-ray spectra: an array (N, L) with the latents of each file, in the order of files.

    Each file is read with the response and background that its header names. What limits a latent
    (other instruments than the training's, few counts) is among the flags of `wolter predict`, as
    are class probabilities and widths of the latents.

    Args:
        files: PHA files.
        model: name of a family that gives latents.
        version: version, run id or alias in the registry, "pretrained", or a checkpoint's folder.
        rejects: list to which file and reason of each spectrum without latents are added, and whose
            files have no row; None to raise at the first.
        reading: files and response for every spectrum, see `wolter.spectra.reading.read_observed`.

    Returns:
        float32, never NaN; 8 latents of the family `autoencoder`.

    Raises:
        InputError: there is no such model, it gives no latents, or, without `rejects`, a file
            cannot be read or holds no counts.
    """
    loaded = load_model(locate(model, version))
    names = {output.name for output in loaded.outputs}
    if loaded.family.kind != KIND.name or LATENT not in names:
        raise InputError(f"family {model} gives no latents of spectra; choose autoencoder")
    paths = [files] if isinstance(files, str | Path) else list(files)
    example = cast("SpectraBatch", KIND.example(loaded.card.spec, 1))
    rows = [predict_batch(loaded, example)[LATENT][:0]]  # none, of the right length
    for start in range(0, len(paths), CHUNK):
        batches = []
        for path in map(Path, paths[start : start + CHUNK]):
            try:
                batches.append(_read(path, loaded.card.spec, reading))
            except InputError as error:
                if rejects is None:
                    raise
                rejects.append((str(path), str(error)))
        if batches:
            rows.append(predict_batch(loaded, SpectraBatch.concatenate(batches))[LATENT])
    latents_NL = np.concatenate(rows)
    assert np.isfinite(latents_NL).all(), f"{model} gives latents that are no numbers"
    return latents_NL


def _read(path: Path, spec: SpectraSpec, reading: Reading) -> SpectraBatch:
    batch = read_record(path, spec, **reading).batch
    if not batch.counts_BC.any():
        low, high = spec.energy_edges[0], spec.energy_edges[-1]
        raise InputError(f"{path}: no counts in {low:g} to {high:g} keV; leave it out")
    return batch
