"""Route of quick looks at detections: numbers, or a picture."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request, Response

from wolter.catalogue import quick_looks
from wolter.catalogue.formats import infos_of
from wolter.catalogue.quick_looks import Seen
from wolter.errors import MissingError
from wolter.serve.catalogue import queries
from wolter.serve.catalogue.answers import REFUSALS, release_headers
from wolter.serve.look_picture import MEDIA_TYPE, svg

if TYPE_CHECKING:
    from wolter.catalogue.store import Snapshot
    from wolter.serve.catalogue.app import Catalogue

DetectionId = Annotated[
    int, Path(ge=-queries.MOST_ID, le=queries.MOST_ID, description="identifier of a detection")
]
Form = Annotated[
    Literal["", "json", "svg"], Query(alias="format", description="empty: by the header Accept")
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The quick look",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            MEDIA_TYPE: {"schema": {"type": "string"}},
        },
    },
    **{status: REFUSALS[status] for status in (404, 422, 503)},
}


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the route of quick looks."""
    store = catalogue.store

    @app.get("/detections/{detection_id}/quicklook", responses=_ANSWERS, response_model=None)
    def quick_look(
        request: Request,
        detection_id: DetectionId,
        release: queries.Release = "",
        form: Form = "",
    ) -> Response:
        """Counts of a detection in few bins, and what a model expects there; JSON or SVG."""
        with store.open(release) as snapshot:
            seen = quick_looks.read(snapshot.path, [detection_id]).get(detection_id)
            if seen is None:
                raise MissingError(_why(snapshot, detection_id))
            headers = release_headers(snapshot.about) | {"vary": "accept"}
            if (form or _accepted(request)) == "svg":
                return Response(svg(seen), media_type=MEDIA_TYPE, headers=headers)
            told = dict(infos_of(snapshot.about)) | numbers(seen)
            told["simulated"] = snapshot.about.simulated
            return Response(json.dumps(told), media_type="application/json", headers=headers)


def numbers(seen: Seen) -> dict[str, Any]:
    """Numbers of a quick look by name, as JSON tells them."""
    look = seen.look
    lists = {
        "edges": look.edges_G1,
        "counts": look.counts_G,
        "counts_low": look.limits_2G[0],
        "counts_high": look.limits_2G[1],
        "background": look.background_G,
        "model": look.model_G,
        "model_low": look.low_G,
        "model_high": look.high_G,
        "rate_per_count": look.rate_per_count_G,
    }
    return {
        "detection_id": seen.detection_id,
        "model_name": seen.model,
        "model_usable": None if look.model_G is None else not seen.reason,
        "reason": seen.reason,
        "axis": {"name": seen.axis.name, "unit": seen.axis.unit, "scale": seen.axis.scale},
        "exposure_s": look.exposure_s,
        **{name: None if of is None else _short(of) for name, of in lists.items()},
    }


def _short(values: Any) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _accepted(request: Request) -> str:
    """The first of the two that the header Accept names."""
    for each in request.headers.get("accept", "").split(","):
        media = each.partition(";")[0].strip()
        if media in (MEDIA_TYPE, MEDIA_TYPE.partition("/")[0] + "/*"):
            return "svg"
        if media in ("application/json", "application/*", "*/*"):
            return "json"
    return "json"


def _why(snapshot: "Snapshot", detection_id: int) -> str:
    """Why there is no quick look."""
    sql = "SELECT detection_id FROM detection WHERE detection_id = ?"
    if not len(snapshot.query(sql, [detection_id])):
        return f"no detection {detection_id} in release {snapshot.about.name}"
    return f"release {snapshot.about.name} keeps no quick look at detection {detection_id}"
