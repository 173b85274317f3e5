"""Pages from templates, with headers that forbid scripts and outside requests."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from wolter.catalogue.store import Snapshot, Store
from wolter.catalogue.tables import HEALPIX

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
KEPT_S = 60  # for which a browser may keep what changes with the release alone


@dataclass
class Web:
    """Pages of a catalogue.

    Attributes:
        store: releases.
    """

    store: Store
    _made: dict[tuple[tuple[str, str], str], bytes] = field(default_factory=dict)

    def text(self, template: str, /, **shown: Any) -> str:
        """Text from a template."""
        return _templates().get_template(template).render(**shown)

    def page(self, template: str, status: int = 200, /, **shown: Any) -> HTMLResponse:
        """A page from its template."""
        return HTMLResponse(self.text(template, **shown), status, HEADERS)

    def once(self, snapshot: Snapshot, name: str, make: Callable[[], bytes]) -> bytes:
        """What is made of a release once, such as a picture."""
        about = snapshot.about
        key = (about.name, about.made), name
        if key not in self._made:
            kept = {k: v for k, v in self._made.items() if k[0] == key[0]}
            self._made = {**kept, key: make()}
        return self._made[key]

    @staticmethod
    def cells(snapshot: Snapshot) -> NDArray[Any]:
        """Cells of all sources, see `wolter.catalogue.tables.HEALPIX`."""
        cells: NDArray[Any] = snapshot.query(f"SELECT {HEALPIX} FROM source")[HEALPIX].to_numpy()
        return cells


def kept() -> dict[str, str]:
    """Headers of what a browser may keep."""
    return {**HEADERS, "cache-control": f"public, max-age={KEPT_S}"}


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
