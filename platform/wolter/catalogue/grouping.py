"""Sources from detections: which are of one source, its identifier, position and name.

Shapes: N detections, M sources.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.catalogue.sphere import unit_vectors
from wolter.catalogue.write import locked
from wolter.data.integrity import encode
from wolter.files import make_folder, write_atomically

IDS = "sources.parquet"  # identifiers of earlier builds, beside the releases
BITS = 53  # identifiers are whole numbers that JSON can hold


def identifiers(words: Sequence[str]) -> NDArray[np.int64]:
    """Identifiers (N) of different words, from their hashes; the same for the same words.

    Two words that fall together are told apart by counting on, in the order of the words.
    """
    digests = (hashlib.blake2b(word.encode(), digest_size=8).digest() for word in words)
    found_N = np.array([int.from_bytes(d, "big") >> (64 - BITS) for d in digests], np.int64)
    while len(repeated := _repeated(found_N)):
        found_N[repeated] = (found_N[repeated] + 1) % 2**BITS
    return found_N


def _repeated(values_N: NDArray[np.int64]) -> NDArray[np.int64]:
    _, first = np.unique(values_N, return_index=True)
    mask_N = np.ones(len(values_N), bool)
    mask_N[first] = False
    return np.flatnonzero(mask_N)


def group(
    ra_N: NDArray[np.float64],
    dec_N: NDArray[np.float64],
    given_N: Sequence[str],
    radius_arcsec: float,
) -> NDArray[np.int64]:
    """Number of the source (N) of each detection.

    Detections with an identity are of one source where it is the same; those without are of one
    source where each is within a radius of another.

    Args:
        ra_N: deg.
        dec_N: deg.
        given_N: identity of each detection's source; empty where none is given.
        radius_arcsec: detections so near each other are of one source.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    given = np.array(given_N, dtype=object)
    alone_K = np.flatnonzero(given == "")
    chord = 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)
    tree = cKDTree(unit_vectors(ra_N[alone_K], dec_N[alone_K]))
    pairs = tree.query_pairs(chord, output_type="ndarray")
    n = len(alone_K)
    ones = np.ones(len(pairs), bool)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, label_K = connected_components(graph, directed=False)
    label_N = np.empty(len(given), np.int64)
    label_N[alone_K] = label_K
    known_N = given != ""
    if known_N.any():
        _, number = np.unique(given[known_N].astype(str), return_inverse=True)
        label_N[known_N] = number + n
    _, label_N = np.unique(label_N, return_inverse=True)
    return label_N


def name_of(ra: NDArray[np.float64], dec: NDArray[np.float64], prefix: str) -> list[str]:
    """Names by position, cut and not rounded as the IAU asks: PREFIX JHHMMSS.s+DDMMSS."""
    tenths = np.floor(ra / 15 * 36_000 + 1e-6).astype(np.int64) % 864_000
    hours, rest = np.divmod(tenths, 36_000)
    minutes, tenth_s = np.divmod(rest, 600)
    arcsec = np.floor(np.abs(dec) * 3600 + 1e-6).astype(np.int64)
    degrees, rest_s = np.divmod(arcsec, 3600)
    arcmin, second = np.divmod(rest_s, 60)
    sign = np.where(dec < 0, "-", "+")
    told = zip(
        hours, minutes, tenth_s // 10, tenth_s % 10, sign, degrees, arcmin, second, strict=True
    )
    return [
        f"{prefix} J{h:02d}{m:02d}{s:02d}.{t}{g}{d:02d}{a:02d}{z:02d}"
        for h, m, s, t, g, d, a, z in told
    ]


def source_ids(
    detection_N: NDArray[np.int64], label_N: NDArray[np.int64], kept: Path | None
) -> NDArray[np.int64]:
    """Identifiers (M) of sources: those of earlier builds, or of a detection of theirs.

    No two sources have the same, whatever fell together or apart since the earlier builds.

    Args:
        detection_N: identifiers of the detections.
        label_N: number of each detection's source.
        kept: folder of the file that remembers them; None for none.
    """
    m = int(label_N.max()) + 1 if len(label_N) else 0
    least_M = np.full(m, np.iinfo(np.int64).max)
    np.minimum.at(least_M, label_N, detection_N)
    if kept is None:
        return least_M
    with locked(make_folder(kept)):  # another build may be under way
        return _remembered(detection_N, label_N, least_M, kept / IDS)


def _remembered(
    detection_N: NDArray[np.int64],
    label_N: NDArray[np.int64],
    least_M: NDArray[np.int64],
    file: Path,
) -> NDArray[np.int64]:
    """Identifiers (M) of sources by those in a file, where they are kept for later builds."""
    found_M, before = np.full(len(least_M), -1, np.int64), dict[int, int]()
    if file.is_file():
        table = pq.read_table(file)
        pairs = zip(*(table[c].to_pylist() for c in ("detection_id", "source_id")), strict=True)
        before = dict(pairs)
    taken: set[int] = set()
    pairs_N = sorted(zip(detection_N.tolist(), label_N.tolist(), strict=True))
    # Of a source that falls into two, the first detection keeps the identifier.
    earlier = ((before.get(detection), label) for detection, label in pairs_N)
    for name, label in [*earlier, *pairs_N]:
        if name is not None and name not in taken and found_M[label] < 0:
            found_M[label] = name
            taken.add(name)
    for label in np.flatnonzero(found_M < 0).tolist():  # all of its detections name others
        name = int(least_M[label])
        while name in taken:
            name = (name + 1) % 2**BITS
        found_M[label] = name
        taken.add(name)
    now = before | dict(zip(detection_N.tolist(), found_M[label_N].tolist(), strict=True))
    told = {"detection_id": list(now), "source_id": list(now.values())}
    write_atomically(file, encode(pa.table(told)))
    return found_M
