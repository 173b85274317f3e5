"""Parameters of the catalogue's routes, as pydantic checks them; unknown ones are refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from wolter.catalogue.position_lists import MOST
from wolter.catalogue.search import OPERATORS, Circle, Filter, Order

DEFAULT_ROWS, MAX_ROWS = 1_000, 100_000
MAX_OFFSET = 10_000_000
MOST_SIMILAR = 1_000

Ra = Annotated[float, Field(ge=0, le=360, description="right ascension, ICRS, deg")]
Dec = Annotated[float, Field(ge=-90, le=90, description="declination, ICRS, deg")]
Limit = Annotated[int, Field(ge=1, le=MAX_ROWS, description="most rows")]
Listed = Annotated[
    str, Field(max_length=5_000, description="columns, with commas between; empty: all")
]


class Strict(BaseModel):
    """Parameters without unknown names and numbers that are none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Asked(Strict):
    """What every question may say."""

    release: str = Field("", max_length=64, description="name of a release; empty: the current one")
    format: str = Field(
        "", max_length=80, description="json, votable, csv, fits or parquet; empty: by Accept"
    )


class Chosen(Asked):
    """What every question for sources may say."""

    columns: Listed = ""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [name.strip() for name in self.columns.split(",") if name.strip()]


class Rows(Chosen):
    """What a question for any number of sources may say."""

    limit: Limit = DEFAULT_ROWS


class Cone(Rows):
    """A cone on the sky."""

    ra: Ra
    dec: Dec
    radius: float = Field(ge=0, le=180, description="deg, inclusive")


class Sources(Rows):
    """Filters on columns, written in the query."""

    filter: list[Annotated[str, Field(max_length=2_000)]] = Field(
        [],
        max_length=50,
        description="`kt >= 1.5`, `kt between 1 and 2`, `instrument starts XMM`, `kt is not null`; "
        "all must hold",
    )
    order: str = Field("", max_length=64, description="column; empty: by the place on the sky")
    descending: bool = False
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="rows left out before the first")
    ra: Ra | None = None
    dec: Dec | None = None
    radius: float | None = Field(None, ge=0, le=180, description="deg, with ra and dec")


class Identifiers(Chosen):
    """Identifiers or names of sources."""

    id: list[int] = Field([], max_length=1_000, description="identifiers of sources")
    name: list[Annotated[str, Field(max_length=256)]] = Field([], max_length=1_000)


class Positions(Rows):
    """How many positions are matched."""

    radius: float = Field(1 / 3600, ge=0, le=17, description="deg, inclusive, around each position")
    limit: Limit = MAX_ROWS


class Nearest(Chosen):
    """How many similar sources."""

    limit: int = Field(10, ge=1, le=MOST_SIMILAR, description="most rows")


class Ranked(Rows):
    """Ranking of sources."""

    by: str = Field("anomaly", max_length=64, description="column, the largest first")
    limit: Limit = 100


Value = StrictBool | StrictInt | StrictFloat | StrictStr


class FilterBody(Strict):
    """A condition on a column."""

    column: str = Field(max_length=64)
    operator: str = Field(max_length=20, description=", ".join(OPERATORS))
    value: Value | list[Value] = Field(
        description="a number or text; two numbers for `between`, a list for `in`, true or false "
        "for `null`"
    )

    @property
    def plain(self) -> Filter:
        """The filter."""
        return Filter(self.column, self.operator, self.value)


class CircleBody(Strict):
    """A cone on the sky."""

    ra: Ra
    dec: Dec
    radius: float = Field(ge=0, le=180, description="deg, inclusive")

    @property
    def plain(self) -> Circle:
        """The cone."""
        return Circle(self.ra, self.dec, self.radius)


class OrderBody(Strict):
    """Order of rows."""

    column: str = Field(max_length=64)
    descending: bool = False

    @property
    def plain(self) -> Order:
        """The order."""
        return Order(self.column, self.descending)


class ChosenBody(Strict):
    """What every body may say."""

    release: str = Field("", max_length=64, description="name of a release; empty: the current one")
    format: str = Field("", max_length=80)
    columns: list[Annotated[str, Field(max_length=64)]] = Field([], max_length=500)


class SourcesBody(ChosenBody):
    """Filters on columns, a cone and an order."""

    limit: Limit = DEFAULT_ROWS
    filters: list[FilterBody] = Field([], max_length=50)
    circle: CircleBody | None = None
    order: OrderBody | None = None
    offset: int = Field(0, ge=0, le=MAX_OFFSET)


class IdentifiersBody(ChosenBody):
    """Identifiers or names of sources; one of the two."""

    ids: list[StrictInt] = Field([], max_length=MOST)
    names: list[Annotated[str, Field(max_length=256)]] = Field([], max_length=MOST)


class LatentBody(ChosenBody):
    """A vector of latents, as the model that the release names for them answers."""

    latent: list[float] = Field(min_length=1, max_length=1_024)
    limit: int = Field(10, ge=1, le=MOST_SIMILAR)
