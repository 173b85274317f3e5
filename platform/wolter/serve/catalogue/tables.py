"""Routes that describe the catalogue: its releases and their tables."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from wolter.catalogue.release import Release
from wolter.serve.catalogue import queries
from wolter.serve.catalogue.answers import PLAIN

if TYPE_CHECKING:
    from wolter.serve.catalogue.app import Catalogue


class ColumnInfo(BaseModel):
    """A column of a table."""

    name: str
    about: str
    datatype: str = Field(description="of VOTable; text is unicodeChar of any length")
    unit: str
    ucd: str
    indexed: bool
    principal: bool


class TableInfo(BaseModel):
    """A table of a release."""

    name: str
    about: str
    rows: int
    primary: list[str]
    columns: list[ColumnInfo]


class ReleaseInfo(BaseModel):
    """A release of the catalogue."""

    release: str
    made: str
    simulated: bool
    about: str
    current: bool
    rows: dict[str, int]
    models: dict[str, str] = Field(description="version by name, of models that it publishes")
    latents: str = Field(description="model of the latents; empty where there are none")


class SchemaInfo(ReleaseInfo):
    """A release and its tables."""

    tables: list[TableInfo]


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the routes that describe the catalogue."""
    store = catalogue.store

    @app.get("/releases", responses=PLAIN)
    def releases() -> list[ReleaseInfo]:
        """All releases, oldest first."""
        with store.open() as snapshot:
            current = snapshot.about.name
        return [ReleaseInfo(**_told(each, current)) for each in store.releases()]

    @app.get("/schema", responses=PLAIN)
    def schema(release: queries.Release = "") -> SchemaInfo:
        """A release, its tables, and the name, unit and UCD of each column."""
        with store.open() as snapshot:
            current = snapshot.about.name
        with store.open(release) as snapshot:
            about = snapshot.about
        tables = [
            TableInfo(
                name=table.name,
                about=table.about,
                rows=about.rows[table.name],
                primary=list(table.primary),
                columns=[ColumnInfo(**vars(column)) for column in table.columns],
            )
            for table in about.tables
        ]
        return SchemaInfo(**_told(about, current), tables=tables)


def _told(about: Release, current: str) -> dict[str, Any]:
    return {
        "release": about.name,
        "made": about.made,
        "simulated": about.simulated,
        "about": about.about,
        "current": about.name == current,
        "rows": about.rows,
        "models": about.models,
        "latents": about.latents,
    }
