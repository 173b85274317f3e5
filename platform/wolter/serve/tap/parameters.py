"""Parameters of a request, whose names are not case-sensitive, and its uploads."""

import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from wolter.catalogue import formats
from wolter.catalogue.adql import jobs
from wolter.catalogue.adql.jobs import Upload
from wolter.errors import InputError
from wolter.serve.jobs.queue import COMPLETED
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.store import Store

MOST_FIELDS, MOST_FILES = 100, 10
_LANGUAGES = ("", "ADQL", "ADQL-2.0", "ADQL-2.1")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_MB = 2**20


@dataclass(frozen=True)
class Parameters:
    """Parameters of a request, in the order of arrival.

    Attributes:
        values: name in upper case -> values.
        files: uploaded files by the name of their field.
    """

    values: dict[str, tuple[str, ...]]
    files: dict[str, UploadFile]

    def get(self, name: str) -> str | None:
        """The last value of a parameter; None where it has none."""
        several = self.values.get(name)
        return several[-1] if several else None


@contextlib.asynccontextmanager
async def parameters(request: Request) -> AsyncIterator[Parameters]:
    """Parameters of a request's URL and body; its files are closed afterwards.

    Raises:
        InputError: there are too many, or the body is none that can be read.
    """
    try:
        yield await _parameters(request)
    finally:
        await request.close()


async def _parameters(request: Request) -> Parameters:
    pairs: list[tuple[str, str]] = list(request.query_params.multi_items())
    files: dict[str, UploadFile] = {}
    if request.method == "POST":
        try:
            form = await request.form(
                max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=16 * _MB
            )
        except HTTPException as error:
            raise HTTPException(error.status_code, f"the body: {error.detail}") from error
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = value
            else:
                pairs.append((name, value))
    if len(pairs) > MOST_FIELDS:
        raise InputError(f"more than {MOST_FIELDS} parameters")
    values: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        values[name.upper()] = (*values.get(name.upper(), ()), value)
    return Parameters(values, files)


def query_of(values: dict[str, str]) -> str:
    """The query of a request.

    Raises:
        InputError: there is none, or it is in another language.
    """
    request = values.get("REQUEST", "doQuery")
    if request.lower() != "doquery":
        raise InputError(f"REQUEST={request[:40]!r} is not offered; use doQuery")
    language = values.get("LANG", "")
    if language.upper() not in _LANGUAGES:
        raise InputError(f"LANG={language[:40]!r} is not offered; use ADQL or ADQL-2.1")
    if not values.get("QUERY", "").strip():
        raise InputError("no QUERY; send QUERY=SELECT ... and LANG=ADQL")
    return values["QUERY"]


def format_of(values: dict[str, str]) -> str:
    """Name of the format of the answer.

    Raises:
        InputError: there is no such format.
    """
    asked = values.get("RESPONSEFORMAT") or values.get("FORMAT") or ""
    return formats.choose(asked, default="votable").name


def rows_of(values: dict[str, str], config: TapConfig, hard: int) -> int:
    """Most rows of the answer.

    Raises:
        InputError: MAXREC is no number of rows.
    """
    text = values.get("MAXREC", "").strip()
    if not text:
        return min(config.rows, hard)
    if not re.fullmatch(r"\d{1,18}", text):
        raise InputError(f"MAXREC={text[:40]!r}: give a whole number of zero or more")
    return min(int(text), hard)


def uploads_of(specified: Sequence[str]) -> list[tuple[str, str]]:
    """Names of tables and where they are, of the parameters UPLOAD.

    Raises:
        InputError: one is not of the form NAME,param:FIELD.
    """
    found = []
    for part in (each.strip() for value in specified for each in value.split(";")):
        if not part:
            continue
        name, comma, place = (each.strip() for each in part.partition(","))
        if not comma or not _NAME.fullmatch(name):
            raise InputError(f"UPLOAD={part[:60]!r}: give NAME,param:FIELD")
        found.append((name.lower(), place))
    if len({name for name, _ in found}) < len(found):
        raise InputError("UPLOAD: a table's name is given twice")
    return found


async def save_uploads(
    asked: Parameters, folder: Path, store: Store, base_url: str
) -> tuple[Upload, ...]:
    """Save the uploaded tables of a request: those inside it, and results of this service's jobs.

    Nothing is fetched from anywhere.

    Args:
        asked: the request's parameters.
        folder: where.
        store: of the jobs.
        base_url: of this service.

    Raises:
        InputError: a table is missing, or is elsewhere.
    """
    saved = []
    for name, place in uploads_of(asked.values.get("UPLOAD", ())):
        target = folder / f"upload-{name}.xml"
        saved.append(Upload(name, target.name))
        if place.startswith(f"{base_url}/async/"):
            shutil.copyfile(_own_result(place[len(f"{base_url}/async/") :], store), target)
            continue
        scheme, _, place = place.rpartition(":")
        if scheme.lower() != "param":
            raise InputError(
                f"UPLOAD: table {name!r} is elsewhere; send it inside the request, as param:FIELD"
            )
        if place in asked.files:
            file = asked.files[place]
            with target.open("wb") as stream:
                while piece := await file.read(_MB):
                    stream.write(piece)
        elif asked.get(place.upper()) is not None:
            target.write_text(asked.get(place.upper()) or "")
        else:
            raise InputError(f"UPLOAD: the request has no field {place[:60]!r}")
    return tuple(saved)


def _own_result(rest: str, store: Store) -> Path:
    """File of a job's result, by the rest of its URL."""
    name, _, path = rest.partition("/")
    job = store.get(name)
    if job is None or path != "results/result" or job.phase != COMPLETED:
        raise InputError("UPLOAD: no result of a completed job is there")
    if not (job.media or "").startswith("application/x-votable+xml"):
        raise InputError("UPLOAD: that result is no VOTable")
    return store.place(name) / jobs.RESULT
