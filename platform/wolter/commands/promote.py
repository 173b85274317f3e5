"""`wolter promote`."""

from dataclasses import dataclass

import tyro

from wolter.registry.mlflow_store import promote


@dataclass(frozen=True)
class Promote:
    """Make a run the champion of its family: the model that the server answers with.

    Attributes:
        family: name of the family.
        run_id: id that `wolter train` printed, or a version number of the registry.
    """

    family: tyro.conf.Positional[str]
    run_id: tyro.conf.Positional[str]

    def run(self) -> int:
        """Set the alias."""
        version = promote(self.family, self.run_id)
        print(f"{self.family} version {version} is the champion")
        return 0


COMMAND = Promote
