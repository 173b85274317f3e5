"""`wolter catalogue use`."""

from dataclasses import dataclass

import tyro

from wolter.catalogue import release
from wolter.catalogue.store import Store
from wolter.catalogue.watchlists import Watchlists


@dataclass(frozen=True)
class CatalogueUse:
    """Let a release of the catalogue answer queries, from now on.

    Attributes:
        name: name of the release.
    """

    name: tyro.conf.Positional[str]

    def run(self) -> int:
        """Make it the current one."""
        use(self.name)
        return 0


def use(name: str) -> None:
    """Let a release answer queries, and answer all watchlists in it.

    Raises:
        MissingError: there is no such release.
    """
    release.make_current(name)
    print(f"{name} is the current release")
    watchlists = Watchlists()
    if watchlists.path.exists():
        store = Store()
        with store.open() as snapshot:
            answered = watchlists.answer_all(snapshot)
        store.close()
        print(f"{answered} watchlists answered")


COMMAND = CatalogueUse
