"""Links of a source: IVOA DataLink 1.1."""

from collections.abc import Sequence

import pyarrow as pa

from wolter.catalogue import quick_looks
from wolter.catalogue.columns import Column
from wolter.catalogue.pictures import file
from wolter.catalogue.pictures.file import Listed
from wolter.catalogue.store import Snapshot
from wolter.serve.catalogue.pictures import FITS, PNG, address
from wolter.serve.look_picture import MEDIA_TYPE as PICTURE

STANDARD = "ivo://ivoa.net/std/DataLink#links-1.1"
MEDIA_TYPE = "application/x-votable+xml;content=datalink"
MOST = 1_000  # identifiers of a request
COLUMNS = (
    Column("ID", "identifier of the source, as sent", "text", "", "meta.id;meta.main"),
    Column("access_url", "address", "text", "", "meta.ref.url"),
    Column("service_def", "reference to a service", "text", "", "meta.ref"),
    Column("error_message", "why there is no link", "text", "", "meta.code.error"),
    Column("semantics", "what the link is", "text", "", "meta.code"),
    Column("description", "description of the link", "text", "", "meta.note"),
    Column("content_type", "media type", "text", "", "meta.code.mime"),
    Column("content_length", "size", "long", "byte", "phys.size;meta.file"),
)


def links(snapshot: Snapshot, ids: Sequence[str], url: str) -> pa.Table:
    """Rows of links, several an identifier, in the order of the identifiers.

    Args:
        snapshot: that is asked.
        ids: identifiers of sources, as sent.
        url: address of the service, without a slash at its end.
    """
    numbers = {each: int(each) for each in ids if each.isdecimal() and len(each) <= 18}
    wanted = list(numbers.values())
    sql = (
        "SELECT source_id, best_detection_id FROM source "
        "WHERE source_id IN (SELECT unnest(?::BIGINT[]))"
    )
    found = snapshot.query(sql, [wanted]).to_pylist()
    known = {row["source_id"]: row["best_detection_id"] for row in found}
    seen = quick_looks.known(snapshot.path, list(known.values()))
    pictured = file.listed(snapshot, list(known))
    rows = []
    for each in ids:
        if numbers.get(each) in known:
            rows += _of(each, f"{url}/v1/catalogue/sources/{numbers[each]}", url)
            best = known[numbers[each]]
            if best in seen:
                look = f"{url}/v1/catalogue/detections/{best}/quicklook?format=svg"
                about = "observed rates of the best detection, with a model"
                rows.append(_row(each, look, "#preview", about, PICTURE))
            shown = pictured.get(numbers[each], [])
            rows += _pictures(each, shown, f"{url}/v1/catalogue", snapshot.about.name)
        else:
            fault = "NotFoundFault: no such source in release " + snapshot.about.name
            rows.append(_row(each, error_message=fault, semantics="#this"))
    schema = pa.schema([(column.name, column.arrow) for column in COLUMNS])
    return pa.Table.from_pylist(rows, schema)


def _of(each: str, source: str, url: str) -> list[dict[str, object]]:
    page = f"{url}/source/{int(each)}"
    similar = f"{url}/v1/catalogue/similar/{int(each)}"
    return [
        _row(each, source, "#this", "all detections and estimates", "application/json"),
        _row(each, page, "#auxiliary", "page of the source", "text/html"),
        _row(each, similar, "#auxiliary", "sources with the nearest latents", "application/json"),
    ]


def _pictures(
    each: str, pictures: Sequence[Listed], catalogue: str, release: str
) -> list[dict[str, object]]:
    """Each layer of the pictures of a source, to be looked at and as numbers."""
    rows = []
    for picture in pictures:
        facts, here = picture.facts, f"{catalogue}/sources/{int(each)}/pictures"
        of = f"{facts['instrument']}, observation {facts['observation_id']}"
        for layer in picture.layers:
            by = "" if layer.counts else f" by {facts['model_name']} {facts['model_version']}"
            for form, meant, media in (("png", "#preview-image", PNG), ("fits", "#cutout", FITS)):
                link = address(here, picture.number, layer.name, form, release)
                rows.append(_row(each, link, meant, f"{layer.about}{by}: {of}", media))
    return rows


def _row(
    each: str,
    access_url: str | None = None,
    semantics: str = "",
    description: str | None = None,
    content_type: str | None = None,
    error_message: str | None = None,
) -> dict[str, object]:
    return {
        "ID": each,
        "access_url": access_url,
        "service_def": None,
        "error_message": error_message,
        "semantics": semantics,
        "description": description,
        "content_type": content_type,
        "content_length": None,
    }
