"""`wolter keys revoke`."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from wolter.serve import keys


@dataclass(frozen=True)
class Revoke:
    """Let a key answer no more, within seconds.

    Attributes:
        key: id of the key, as `wolter keys list` shows it.
    """

    key: Annotated[str, tyro.conf.Positional]

    def run(self) -> int:
        """Revoke the key."""
        keys.revoke(keys.database(), self.key)
        return 0


COMMAND = Revoke
