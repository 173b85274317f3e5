"""Parameters of the catalogue's routes, as pydantic checks them; unknown ones are refused."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from wolter.catalogue.position_lists import MOST
from wolter.catalogue.search import Circle, Filter, Order

DEFAULT_ROWS, MAX_ROWS = 1_000, 100_000
MAX_OFFSET = 10_000_000
MOST_SIMILAR = 1_000

Ra = Annotated[float, Field(ge=0, le=360, description="right ascension, ICRS, deg")]
Dec = Annotated[float, Field(ge=-90, le=90, description="declination, ICRS, deg")]
Limit = Annotated[int, Field(ge=1, le=MAX_ROWS, description="most rows")]
Listed = Annotated[
    str,
    Field(
        max_length=5_000,
        pattern="^[A-Za-z0-9_, ]*$",
        description="columns, with commas between; empty: all",
    ),
]
Named = Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9_]*$")]
Release = Annotated[
    str,
    Field(
        max_length=64,
        pattern="^[A-Za-z0-9._-]*$",
        description="name of a release; empty: the current one",
    ),
]
SourceName = Annotated[str, Field(min_length=1, max_length=64, pattern="^[ -~]+$")]


def _whole(value: Any) -> Any:
    """Whole numbers as JSON may write them, 5.0 among them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)
MOST_ID = 2**63 - 1024  # the largest of 64 bits that JSON's readers hold exactly
SourceId = Annotated[int, Field(ge=-MOST_ID, le=MOST_ID)]
FormatName = Literal["", "json", "votable", "votable/td", "votable/b2", "csv", "fits", "parquet"]
# What `Filter.parse` takes, for clients; it says itself what is wrong.
FILTER = (
    "^[A-Za-z0-9_]+ *((<=|>=|!=|=|<|>) *[ -~]*"
    "| (between [!-~]+ and [!-~]+|in [ -~]+|starts [ -~]+|is null|is not null))$"
)
Written = Annotated[str, Field(max_length=300, json_schema_extra={"pattern": FILTER})]


class Strict(BaseModel):
    """Parameters without unknown names and numbers that are none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Asked(Strict):
    """What every question may say."""

    release: Release = ""
    format: FormatName = Field("", description="empty: by the header Accept")


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

    filter: list[Written] = Field(
        [],
        max_length=20,
        description="`kt >= 1.5`, `kt between 1 and 2`, `instrument starts XMM`, `kt is not null`; "
        "all must hold",
    )
    order: Named = Field("", description="column; empty: by the place on the sky")
    descending: bool = False
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="rows left out before the first")
    ra: Ra | None = None
    dec: Dec | None = None
    radius: float | None = Field(None, ge=0, le=180, description="deg, with ra and dec")


class Identifiers(Chosen):
    """Identifiers of sources, and names."""

    id: list[SourceId] = Field([], max_length=1_000, description="identifiers of sources")
    name: list[SourceName] = Field([], max_length=200)


class Positions(Rows):
    """How many positions are matched."""

    radius: float = Field(1 / 3600, ge=0, le=17, description="deg, inclusive, around each position")
    limit: Limit = MAX_ROWS


class Nearest(Chosen):
    """How many similar sources."""

    limit: int = Field(10, ge=1, le=MOST_SIMILAR, description="most rows")


class Ranked(Rows):
    """Ranking of sources."""

    by: Named = Field("anomaly", description="column, the largest first")
    limit: Limit = 100


Value = StrictBool | StrictInt | StrictFloat | StrictStr


class Body(Strict):
    """Part of a JSON body, whose types are not converted."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class FilterBody(Body):
    """A condition on a column."""

    column: Named
    operator: Literal["=", "!=", "<", "<=", ">", ">=", "between", "in", "starts", "null"]
    value: Value | list[Value] = Field(
        description="a number or text; two numbers for `between`, a list for `in`, true or false "
        "for `null`"
    )

    @property
    def plain(self) -> Filter:
        """The filter."""
        return Filter(self.column, self.operator, self.value)


class CircleBody(Body):
    """A cone on the sky."""

    ra: Ra
    dec: Dec
    radius: float = Field(ge=0, le=180, description="deg, inclusive")

    @property
    def plain(self) -> Circle:
        """The cone."""
        return Circle(self.ra, self.dec, self.radius)


class OrderBody(Body):
    """Order of rows."""

    column: Annotated[Named, Field(min_length=1)]
    descending: bool = False

    @property
    def plain(self) -> Order:
        """The order."""
        return Order(self.column, self.descending)


class ChosenBody(Body):
    """What every body may say."""

    release: Release = ""
    format: FormatName = Field("", description="empty: by the header Accept")
    columns: list[Named] = Field([], max_length=500)


class SourcesBody(ChosenBody):
    """Filters on columns, a cone and an order."""

    limit: Annotated[Limit, Whole] = DEFAULT_ROWS
    filters: list[FilterBody] = Field([], max_length=50)
    circle: CircleBody | None = None
    order: OrderBody | None = None
    offset: Annotated[int, Whole] = Field(0, ge=0, le=MAX_OFFSET)


class IdentifiersBody(ChosenBody):
    """Identifiers of sources, and names."""

    ids: list[Annotated[SourceId, Whole]] = Field([], max_length=MOST)
    names: list[SourceName] = Field([], max_length=MOST)


class LatentBody(ChosenBody):
    """A vector of latents, as the model that the release names for them answers."""

    latent: list[Annotated[float, Field(ge=-1e14, le=1e14)]] = Field(min_length=1, max_length=1_024)
    limit: Annotated[int, Whole] = Field(10, ge=1, le=MOST_SIMILAR)
