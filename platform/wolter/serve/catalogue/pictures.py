"""Routes of pictures of sources: a list, and each layer as PNG or FITS."""

import json
import mimetypes
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request, Response

from wolter.catalogue.formats import infos_of
from wolter.catalogue.pictures import file
from wolter.catalogue.pictures.file import Picture
from wolter.errors import MissingError
from wolter.serve.catalogue import queries
from wolter.serve.catalogue.answers import REFUSALS, release_headers
from wolter.serve.catalogue.rows import SourceId
from wolter.serve.picture_fits import to_fits
from wolter.serve.picture_png import Stretch, png

if TYPE_CHECKING:
    from wolter.catalogue.store import Snapshot
    from wolter.serve.catalogue.app import Catalogue

PNG, FITS = mimetypes.types_map[".png"], "application/fits"
MOST = 10_000  # number of a picture

Number = Annotated[int, Path(ge=0, le=MOST, description="number of a picture, from the list")]
LayerName = Annotated[
    str, Path(max_length=64, pattern="^[a-z0-9_]+$", description="name of a layer, from the list")
]
Form = Annotated[
    Literal["", "png", "fits"], Query(alias="format", description="empty: by the header Accept")
]
_LIST: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Pictures of the source, those of the longest exposure first",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    **{status: REFUSALS[status] for status in (404, 422, 503)},
}
_LAYER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The layer",
        "content": {
            media: {"schema": {"type": "string", "format": "binary"}} for media in (PNG, FITS)
        },
    },
    **{status: REFUSALS[status] for status in (404, 422, 503)},
}


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the routes of pictures."""
    store = catalogue.store

    @app.get("/sources/{source_id}/pictures", responses=_LIST, response_model=None)
    def pictures(request: Request, source_id: SourceId, release: queries.Release = "") -> Response:
        """Pictures of a source: of which observation and model, and where their pixels lie."""
        with store.open(release) as snapshot:
            about, source = snapshot.about, _source(snapshot, source_id)
            found = file.read(snapshot, file.listed(snapshot, [source_id]).get(source_id, []))
            here = str(request.url.replace(query=""))
            told: dict[str, Any] = dict(infos_of(about)) | source
            told["simulated"] = about.simulated
            told["pictures"] = [_told(each, here, about.name) for each in found]
            body = json.dumps(told, ensure_ascii=False)
            return Response(body, media_type="application/json", headers=release_headers(about))

    @app.get(
        "/sources/{source_id}/pictures/{number}/{layer}", responses=_LAYER, response_model=None
    )
    def one_layer(
        request: Request,
        source_id: SourceId,
        number: Number,
        layer: LayerName,
        release: queries.Release = "",
        form: Form = "",
    ) -> Response:
        """A layer of a picture: colours on the scale of all its layers, or numbers with a WCS."""
        with store.open(release) as snapshot:
            about, source = snapshot.about, _source(snapshot, source_id)
            listed = file.listed(snapshot, [source_id]).get(source_id, [])
            of = [each for each in listed if each.number == number]
            named = [own for each in of for own in each.layers if own.name == layer]
            if not named:
                raise MissingError(
                    f"no picture {number} with a layer {layer!r} of source {source_id} in release "
                    f"{about.name}; /sources/{source_id}/pictures lists them"
                )
            (picture,) = file.read(snapshot, of)
            headers = release_headers(about) | {"vary": "accept"}
            if (form or _accepted(request)) == "fits":
                name = f"{source_id}-{number}-{layer}.fits"
                headers["content-disposition"] = f'attachment; filename="{name}"'
                content = to_fits(picture, named[0], source, about)
                return Response(content, media_type=FITS, headers=headers)
            content = png(picture, named[0], Stretch.of(picture))
            return Response(content, media_type=PNG, headers=headers)


def address(here: str, number: int, layer: str, form: str, release: str) -> str:
    """Address of a layer.

    Args:
        here: of the list of the source's pictures.
        number: of the picture.
        layer: name of the layer.
        form: "png" or "fits".
        release: name of the release.
    """
    return f"{here}/{number}/{layer}?format={form}&release={release}"


def _told(picture: Picture, here: str, release: str) -> dict[str, Any]:
    """A picture as JSON tells it."""
    layers = []
    for layer, coded in picture.layers:
        plane = picture.plane_of(layer)
        rows, columns = coded.codes_HW.shape
        layers.append(
            {
                "name": layer.name,
                "about": layer.about,
                "unit": layer.unit,
                "rows": rows,
                "columns": columns,
                "pixel_arcsec": plane.pixel_arcsec,
                "wcs": plane.cards,
                **{
                    form: address(here, picture.number, layer.name, form, release)
                    for form in ("png", "fits")
                },
            }
        )
    facts = {name: value for name, value in picture.facts.items() if name != "source_id"}
    return {"number": picture.number, **facts, "layers": layers}


def _source(snapshot: "Snapshot", source_id: int) -> dict[str, Any]:
    """Identifier, name and position of a source.

    Raises:
        MissingError: there is none.
    """
    sql = "SELECT source_id, name, ra, dec FROM source WHERE source_id = ?"
    rows = snapshot.query(sql, [source_id]).to_pylist()
    if not rows:
        raise MissingError(f"source_id: no source {source_id} in release {snapshot.about.name}")
    return dict(rows[0])


def _accepted(request: Request) -> str:
    """The first of the two that the header Accept names."""
    for each in request.headers.get("accept", "").split(","):
        media = each.partition(";")[0].strip()
        if media == FITS:
            return "fits"
        if media in (PNG, PNG.partition("/")[0] + "/*", "*/*"):
            return "png"
    return "png"
