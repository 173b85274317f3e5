"""`wolter keys add`."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from wolter.serve import keys


@dataclass(frozen=True)
class Add:
    """Make a key for a client of the server; it is shown once.

    Attributes:
        name: whose key it is.
        per_minute: units that it may spend in a minute, in each process; 0 for no limit.
    """

    name: Annotated[str, tyro.conf.Positional]
    per_minute: float = 0.0

    def run(self) -> int:
        """Make and print the key."""
        print(keys.add(keys.database(), self.name, self.per_minute))
        return 0


COMMAND = Add
