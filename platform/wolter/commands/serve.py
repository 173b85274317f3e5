"""`wolter serve`."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from wolter.serve.application import run
from wolter.serve.config import ServeConfig


@dataclass(frozen=True)
class Serve:
    """Serve the champions over HTTP until interrupted.

    /docs explains the routes of the models, /v1/models lists the models, /readyz tells which of
    them answer.
    """

    config: Annotated[ServeConfig, tyro.conf.arg(name="")] = field(default_factory=ServeConfig)

    def run(self) -> int:
        """Serve until interrupted."""
        run(self.config)
        return 0


COMMAND = Serve
