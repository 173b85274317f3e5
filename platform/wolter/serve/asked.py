"""What is known of a request besides HTTP: who asks, what it costs, which model answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

OURS = "wolter"  # key in the scope of requests that an application of ours answers


@dataclass
class Asked:
    """A request that an application of ours answers.

    Attributes:
        holder: id of the client's key, or its address.
        key: id of the client's key; empty for none.
        take: takes units of the client, given those that the request cost so far.
        give: gives units back to the client.
        paid: units that the request cost so far.
        model: name and version of the model that answered; empty where none did.
    """

    holder: str = ""
    key: str = ""
    take: Callable[[float, float], None] = field(default=lambda _units, _paid: None)
    give: Callable[[float], None] = field(default=lambda _units: None)
    paid: float = 0.0
    model: tuple[str, str] = ("", "")

    def charge(self, units: float) -> None:
        """Take units of the client.

        Raises:
            BusyError: the client has not so much left.
        """
        self.take(units, self.paid)
        self.paid += units

    def refund(self, but: float) -> None:
        """Give back what the request cost, but so many units: it was refused unanswered."""
        if self.paid > but:
            self.give(self.paid - but)
            self.paid = but


def of(scope: Scope) -> Asked:
    """What is known of a request; a stranger's where nothing stands before the application."""
    found: Any = scope.get(OURS)
    return found if isinstance(found, Asked) else Asked()
