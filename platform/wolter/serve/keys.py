"""Keys of clients: kept as hashes in SQLite, each with a budget of its own."""

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wolter.errors import InputError
from wolter.home import home

PREFIX = "wolter"
_TABLE = """create table if not exists keys (
    id text primary key, name text not null, hash text not null, per_minute real not null,
    made real not null, revoked real)"""


@dataclass(frozen=True)
class Holder:
    """A client.

    Attributes:
        id: of its key; its address where it has none.
        name: that was given to the key; empty where there is none.
        per_minute: units that it may spend in a minute; 0 for no limit.
        revoked: whether the key answers no more.
        known: whether it has a key.
    """

    id: str
    name: str = ""
    per_minute: float = 0.0
    revoked: bool = False
    known: bool = True


def database() -> Path:
    """File of the keys, under `$WOLTER_HOME`."""
    return home() / "serve" / "keys.db"


def add(path: Path, name: str, per_minute: float = 0.0) -> str:
    """Make a key; it is told once, and kept as a hash.

    Args:
        path: file of the keys.
        name: whose key it is.
        per_minute: units that it may spend in a minute; 0 for no limit.

    Raises:
        InputError: the name or the budget makes no sense.
    """
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise InputError(f"key: name {name[:50]!r}; give 1 to 200 printable characters")
    if not 0 <= per_minute < 1e12:
        raise InputError(f"key: {per_minute:g} units a minute; give 0 (no limit) or more")
    which, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = f"{PREFIX}_{which}_{secret}"
    with _opened(path) as rows:
        rows.execute(
            "insert into keys values (?, ?, ?, ?, ?, null)",
            (which, name, _hash(key), per_minute, time.time()),
        )
    return key


def listed(path: Path) -> list[Holder]:
    """Every key, without its secret, the first one made first."""
    with _opened(path) as rows:
        found = rows.execute("select id, name, per_minute, revoked from keys order by made")
        return [Holder(i, name, most, revoked is not None) for i, name, most, revoked in found]


def revoke(path: Path, which: str) -> None:
    """Let a key answer no more.

    Raises:
        InputError: there is no such key.
    """
    with _opened(path) as rows:
        done = rows.execute("update keys set revoked = ? where id = ?", (time.time(), which))
        if not done.rowcount:
            raise InputError(f"key {which[:50]!r}: there is none; see `wolter keys list`")


def find(path: Path, key: str) -> Holder | None:
    """Who holds a key; None where it is none of ours, or was revoked."""
    if not path.is_file():
        return None
    with _opened(path) as rows:
        row = rows.execute(
            "select id, name, per_minute from keys where hash = ? and revoked is null",
            (_hash(key),),
        ).fetchone()
    return None if row is None else Holder(*row)


def _hash(key: str) -> str:
    # Its 32 random bytes need neither salt nor a slow hash.
    return hashlib.sha256(key.encode()).hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=10)
    try:
        with connection:
            connection.execute(_TABLE)
            yield connection
    finally:
        connection.close()
    path.chmod(0o600)
