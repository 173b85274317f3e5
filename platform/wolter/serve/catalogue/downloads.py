"""Routes of bulk download: the files of a release, listed with their checksums, and ranged."""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, HTTPException, Path, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from wolter.catalogue import release as releases
from wolter.serve.catalogue.answers import PLAIN, release_headers

if TYPE_CHECKING:
    from wolter.serve.catalogue.app import Catalogue

Release = Annotated[str, Path(min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class FileInfo(BaseModel):
    """A file of a release."""

    path: str
    bytes: int
    sha256: str


class FilesInfo(BaseModel):
    """Files of a release."""

    release: str
    simulated: bool
    files: list[FileInfo]


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the routes of bulk download."""
    root = catalogue.store.root

    @app.get("/releases/{release}/files", responses=PLAIN)
    def files(release: Release) -> FilesInfo:
        """The files of a release: parquet, HATS and the database."""
        folder = releases.find(release, root)
        about = releases.load(folder)
        listed = [
            FileInfo(path=path, bytes=(folder / path).stat().st_size, sha256=digest)
            for path, digest in checksums(folder).items()
        ]
        return FilesInfo(release=about.name, simulated=about.simulated, files=listed)

    @app.head("/releases/{release}/files/{path:path}", include_in_schema=False)
    @app.get(
        "/releases/{release}/files/{path:path}",
        responses={
            200: {"description": "The file", "content": {"application/octet-stream": {}}},
            206: {"description": "A part of the file"},
            400: {"description": "A range that is none"},
            416: {"description": "A range beyond the file"},
            **PLAIN,
        },
        response_class=FileResponse,
    )
    def file(release: Release, path: str) -> Response:
        """A file of a release; takes ranges, so that a download can go on."""
        folder = releases.find(release, root)
        digest = checksums(folder).get(path)  # what is not listed is not sent
        if digest is None:
            raise HTTPException(404, f"no file {path[:100]!r} in release {release}")
        headers = release_headers(releases.load(folder)) | {"etag": f'"{digest}"'}
        return FileResponse(folder / path, headers=headers, media_type="application/octet-stream")


def checksums(folder: FilePath) -> dict[str, str]:
    """SHA-256 of each file of a release, by its path."""
    lines = (folder / releases.CHECKSUMS).read_text().splitlines()
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
