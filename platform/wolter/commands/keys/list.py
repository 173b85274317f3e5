"""`wolter keys list`."""

from dataclasses import dataclass

from wolter.serve import keys


@dataclass(frozen=True)
class List:
    """List the keys of the server's clients, without their secrets."""

    def run(self) -> int:
        """Print a line a key."""
        for each in keys.listed(keys.database()):
            limit = f"{each.per_minute:g} units a minute" if each.per_minute else "no limit"
            print(f"{each.id}  {'revoked' if each.revoked else limit}  {each.name}")
        return 0


COMMAND = List
