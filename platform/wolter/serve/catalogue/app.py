"""The catalogue's application: REST over the releases of a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Thread

from fastapi import FastAPI, HTTPException, Request
from fastapi_offline import FastAPIOffline

from wolter import __version__
from wolter.catalogue.store import Store, StoreLimits
from wolter.catalogue.watchlists import Watchlists
from wolter.serve import problems
from wolter.serve.budgets import key_of
from wolter.serve.catalogue import (
    downloads,
    looks,
    pictures,
    rows,
    tables,
    uploads,
    watching,
)
from wolter.serve.catalogue.answers import Bulk
from wolter.serve.limits import LimitBody

MOST_BYTES = 8 * 2**20  # of a body

Principal = Callable[[Request], str]
"""Who asks, by the request; raises `HTTPException` 401 where it cannot be told."""

_ABOUT = """
Sources, their detections, and what models say of them. Every answer tells its release, and whether
its sources are simulated; rows come in a fixed order, and the status of an answer is OVERFLOW
exactly where there are more rows than the limit.
"""


@dataclass(frozen=True)
class Catalogue:
    """What the routes answer from.

    Attributes:
        store: releases.
        watchlists: lists of positions that are kept.
        principal: who asks.
    """

    store: Store
    watchlists: Watchlists
    principal: Principal


def build_app(
    root: Path | None = None,
    limits: StoreLimits | None = None,
    principal: Principal | None = None,
    watchlists: Path | None = None,
) -> FastAPI:
    """The application of `/v1/catalogue`, whose routes are relative to it.

    Args:
        root: folder of all releases; None is `$WOLTER_HOME/catalogue/releases`.
        limits: of queries.
        principal: who asks, for watchlists; None goes by the key that is sent.
        watchlists: file; see `wolter.catalogue.watchlists.Watchlists`.
    """
    catalogue = Catalogue(Store(root, limits), Watchlists(watchlists), principal or by_key)
    Thread(target=catalogue.store.warm, daemon=True).start()
    app = FastAPIOffline(
        title="wolter catalogue", description=_ABOUT, version=__version__, redoc_url=None
    )
    app.state.bulk = Bulk()
    app.add_middleware(LimitBody, max_bytes=MOST_BYTES, max_json=MOST_BYTES)
    problems.add_handlers(app)
    problems.tell_methods(app)
    for part in (tables, rows, looks, pictures, uploads, watching, downloads):
        part.add_routes(app, catalogue)
    return app


def by_key(request: Request) -> str:
    """Who asks, by the key that is sent, which is not kept itself.

    Raises:
        HTTPException: there is no key.
    """
    key = key_of(dict(request.headers.raw)) or ""
    if not 8 <= len(key) <= 256:
        line = "send a key of 8 to 256 characters, as X-API-Key or as Authorization: Bearer KEY"
        raise HTTPException(401, line)
    return sha256(key.encode()).hexdigest()
