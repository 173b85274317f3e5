"""`wolter catalogue use`."""

from dataclasses import dataclass

import tyro

from wolter.catalogue import release


@dataclass(frozen=True)
class CatalogueUse:
    """Let a release of the catalogue answer queries, from now on.

    Attributes:
        name: name of the release.
    """

    name: tyro.conf.Positional[str]

    def run(self) -> int:
        """Make it the current one."""
        release.make_current(self.name)
        print(f"{self.name} is the current release")
        return 0


COMMAND = CatalogueUse
