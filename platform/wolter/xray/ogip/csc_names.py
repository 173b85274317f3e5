"""File names of the Chandra Source Catalog: which ARF and RMF belong to a spectrum.

`acisf04487_001N023_r0009_pha3.fits.gz` is of observation 4487, interval 001, version 023, region
9. Its `arf3` and `rmf3` differ in the last word and may differ in the version.
"""

import re
from pathlib import Path

_NAME = re.compile(r"(?P<observation>\w+?_\d{3})N(?P<version>\d{3})_(?P<region>\w+)_(?P<kind>\w+)")


def companion(pha: Path, kind: str) -> Path | None:
    """The file of another kind beside a spectrum of the catalog, of the nearest version.

    Of two that are equally near, it is the later one.

    Args:
        pha: spectrum.
        kind: "arf" or "rmf".

    Returns:
        None where the name is not of the catalog, or there is no such file.
    """
    own = _parts(pha.name)
    if not own.get("kind", "").startswith("pha"):
        return None
    wanted = (own["observation"], own["region"], own["kind"].replace("pha", kind))
    found = {}
    for file in pha.parent.glob(f"{own['observation']}N*"):
        parts = _parts(file.name)
        if parts and (parts["observation"], parts["region"], parts["kind"]) == wanted:
            found[file] = int(parts["version"])
    version = int(own["version"])
    return min(found, key=lambda file: (abs(found[file] - version), -found[file]), default=None)


def same_source(one: str, other: str) -> bool:
    """True if two names are of files of one kind of one source, in any version."""
    first, second = _parts(one), _parts(other)
    words = ("observation", "region", "kind")
    return bool(first) and bool(second) and all(first[word] == second[word] for word in words)


def _parts(name: str) -> dict[str, str]:
    """Parts of a name; none of a name that is not the catalog's."""
    found = _NAME.fullmatch(name.removesuffix(".gz").removesuffix(".fits"))
    return found.groupdict() if found else {}
