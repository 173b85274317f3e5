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
        charge: takes more units of the client than the request cost so far.
        model: name and version of the model that answered; empty where none did.
    """

    holder: str = ""
    key: str = ""
    charge: Callable[[float], None] = field(default=lambda _units: None)
    model: tuple[str, str] = ("", "")


def of(scope: Scope) -> Asked:
    """What is known of a request; a stranger's where nothing stands before the application."""
    found: Any = scope.get(OURS)
    return found if isinstance(found, Asked) else Asked()
