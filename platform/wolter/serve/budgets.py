"""Budgets of clients: what a request costs, and how much a client may spend in a minute."""

import math
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wolter.serve import keys
from wolter.serve.keys import Holder
from wolter.serve.limits import BusyError

KNOWN_S = 10.0  # after which a key is looked up again, so that a revoked one ends
_MOST = 10_000  # keys that are remembered
_BUSY_S = 5.0  # longest wait for another process, whose turn takes a tenth of a millisecond
_TABLE = """create table if not exists tills (
    client text primary key, units real not null, at real not null) without rowid"""
# What a client has is what it had, and what came back since; a minute's units at most.
_HAS = "min(:most, units + max(0, :now - at) * :most / 60)"
_TAKE = f"""insert into tills values (:client, :most - :price, :now)
    on conflict (client) do update set units = {_HAS} - :price, at = :now
    where {_HAS} >= :price - 1e-9 returning units"""
_GIVE = "update tills set units = units + :price where client = :client"
DEAR = 20.0  # units of a request that takes seconds
PIECE = 2**20  # elements, such as pixels, that take so long


@dataclass(frozen=True)
class Budgets:
    """Settings of `Tills`.

    Attributes:
        database: file of the keys; what clients have left is beside it. Empty for this process.
        anonymous: units a minute of a client without a key; 0 for no limit.
        keys_only: refuse clients without a key.
    """

    database: str = ""
    anonymous: float = 0.0
    keys_only: bool = False


class UnknownKeyError(Exception):
    """A key is wrong, or is missing where one is needed."""


class Tills:
    """What each client has left, for all processes that share the file of the keys.

    A client starts with a minute's units, and gets them back evenly.

    Args:
        budgets: settings.
    """

    def __init__(self, budgets: Budgets) -> None:
        self.budgets = budgets
        self._known: OrderedDict[str, tuple[float, Holder | None]] = OrderedDict()

    def holder(self, headers: Mapping[bytes, bytes], address: str) -> Holder:
        """The client of a request.

        Args:
            headers: of the request.
            address: of the client.

        Raises:
            UnknownKeyError: its key is none of ours, or it has none and needs one.
        """
        key = key_of(headers)
        if key is None:
            if self.budgets.keys_only:
                raise UnknownKeyError("this server needs a key; send Authorization: Bearer KEY")
            return Holder(address, per_minute=self.budgets.anonymous, known=False)
        until, found = self._known.get(key, (0.0, None))
        if time.monotonic() > until:
            found = keys.find(Path(self.budgets.database), key)
            self._remember(key, found)
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
        whole = min(paid + units, most)  # one may be asked for always
        price = whole - min(paid, most)
        told = {"client": holder.id, "most": most, "price": price, "now": time.time()}
        if self._tills.execute(_TAKE, told).fetchall():
            return
        ((left,),) = self._tills.execute(f"select {_HAS} from tills where client = :client", told)
        again_s = max(1, math.ceil((whole - left) * 60 / most))  # it is paid as a whole again
        raise BusyError(
            f"{most:g} units a minute are spent, and this request costs {whole:g}; try again "
            f"in {again_s} s, or with a key",
            again_s,
        )

    def refund(self, holder: Holder, units: float) -> None:
        """Give units back that `charge` took."""
        if holder.per_minute:
            told = {"client": holder.id, "price": min(units, holder.per_minute)}
            self._tills.execute(_GIVE, told)

    def close(self) -> None:
        """Close the file."""
        if "_tills" in self.__dict__:
            self._tills.close()

    @cached_property
    def _tills(self) -> sqlite3.Connection:
        """The table of all clients; opened for the first that has a limit."""
        where = Path(self.budgets.database).with_name("tills.db") if self.budgets.database else None
        if where is not None:
            where.parent.mkdir(parents=True, exist_ok=True)
            where.touch(mode=0o600)  # addresses of clients
        rows = sqlite3.connect(
            where or ":memory:", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        rows.execute("pragma journal_mode = wal")
        rows.execute("pragma synchronous = off")  # a minute's units are no loss
        rows.execute(_TABLE)
        rows.execute("delete from tills where at < ?", (time.time() - 60,))  # these have all again
        return rows

    def _remember(self, key: str, found: Holder | None) -> None:
        self._known[key] = (time.monotonic() + KNOWN_S, found)
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)


def of_job(elements: int) -> float:
    """Units that a job costs beyond a request that takes seconds.

    Args:
        elements: of its records, such as pixels.
    """
    return DEAR * max(0, math.ceil(elements / PIECE) - 1)


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that a request sends, as `X-API-Key` or as a bearer; None where it sends none."""
    given = headers.get(b"x-api-key")
    if given is None:
        word, _, rest = headers.get(b"authorization", b"").partition(b" ")
        given = rest.strip() if word.lower() == b"bearer" else None
    return None if given is None else given.decode("latin-1")
