"""`wolter catalogue verify`."""

from dataclasses import dataclass

import tyro

from wolter.catalogue import release
from wolter.catalogue.write import differing
from wolter.errors import InputError


@dataclass(frozen=True)
class CatalogueVerify:
    """Compare the files of a release with their SHA-256.

    Attributes:
        name: name of the release; the current one where none is given.
    """

    name: tyro.conf.Positional[str] = ""

    def run(self) -> int:
        """Verify it; exit code 1 where a file differs."""
        path = release.find(self.name) if self.name else release.current()
        if path is None:
            raise InputError("no release is current; name one")
        found = differing(path)
        for file, why in found:
            print(f"{path / file}: {why}")
        print(f"{path.name}: {f'{len(found)} files differ' if found else 'all files are whole'}")
        return 1 if found else 0


COMMAND = CatalogueVerify
