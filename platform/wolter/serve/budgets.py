"""Budgets of clients: what a request costs, and how much a client may spend in a minute."""

import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wolter.serve import keys
from wolter.serve.keys import Holder
from wolter.serve.limits import BusyError

T = TypeVar("T")
KNOWN_S = 10.0  # after which a key is looked up again, so that a revoked one ends
_MOST = 10_000  # clients that are remembered
DEAR = 20.0  # units of a request that takes seconds
PIECE = 2**20  # elements, such as pixels, that take so long


@dataclass(frozen=True)
class Budgets:
    """Settings of `Tills`.

    Attributes:
        database: file of the keys.
        anonymous: units a minute of a client without a key; 0 for no limit.
        keys_only: refuse clients without a key.
    """

    database: str = ""
    anonymous: float = 0.0
    keys_only: bool = False


class UnknownKeyError(Exception):
    """A key is wrong, or is missing where one is needed."""


class Tills:
    """What each client has left, in this process.

    A client starts with a minute's units, and gets them back evenly.

    Args:
        budgets: settings.
    """

    def __init__(self, budgets: Budgets) -> None:
        self.budgets = budgets
        self._known: OrderedDict[str, tuple[float, Holder | None]] = OrderedDict()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # units, when

    def holder(self, headers: Mapping[bytes, bytes], address: str) -> Holder:
        """The client of a request.

        Args:
            headers: of the request.
            address: of the client.

        Raises:
            UnknownKeyError: its key is none of ours, or it has none and needs one.
        """
        key = _key(headers)
        if key is None:
            if self.budgets.keys_only:
                raise UnknownKeyError("this server needs a key; send Authorization: Bearer KEY")
            return Holder(address, per_minute=self.budgets.anonymous, known=False)
        until, found = self._known.get(key, (0.0, None))
        if time.monotonic() > until:
            found = keys.find(Path(self.budgets.database), key)
            _remember(self._known, key, (time.monotonic() + KNOWN_S, found))
        if found is None:
            raise UnknownKeyError("this key is not known here, or was revoked")
        return found

    def charge(self, holder: Holder, units: float, paid: float = 0.0) -> None:
        """Take the price of a request, or a further part of it.

        Args:
            holder: the client.
            units: to take.
            paid: that the same request has cost already.

        Raises:
            BusyError: the client has not so much left.
        """
        most = holder.per_minute
        if not most:
            return
        now = time.monotonic()
        left, since = self._left.get(holder.id, (most, now))
        left = min(most, left + (now - since) * most / 60)
        whole = min(paid + units, most)  # one may be asked for always
        price = whole - min(paid, most)
        if left < price:
            again_s = max(1, math.ceil((whole - left) * 60 / most))  # it is paid as a whole again
            raise BusyError(
                f"{most:g} units a minute are spent, and this request costs {whole:g}; try again "
                f"in {again_s} s, or with a key",
                again_s,
            )
        _remember(self._left, holder.id, (left - price, now))


def of_job(elements: int) -> float:
    """Units that a job costs beyond a request that takes seconds.

    Args:
        elements: of its records, such as pixels.
    """
    return DEAR * max(0, math.ceil(elements / PIECE) - 1)


def _remember(kept: OrderedDict[str, T], name: str, value: T) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > _MOST:
        kept.popitem(last=False)


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    given = headers.get(b"x-api-key")
    if given is None:
        word, _, rest = headers.get(b"authorization", b"").partition(b" ")
        given = rest.strip() if word.lower() == b"bearer" else None
    return None if given is None else given.decode("latin-1")
