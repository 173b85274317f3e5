"""Answers about the service itself, as JSON."""

from pydantic import BaseModel, Field


class Health(BaseModel):
    """Health of the models, as last checked."""

    models: dict[str, str] = Field(description="versions of those that answer, by name")
    problems: dict[str, str] = Field(description="why others do not, by name")
    checked_s: float = Field(description="age of this, s")
    starting: list[str] = Field(
        default_factory=list, description="paths whose application is not up now"
    )


class Problem(BaseModel):
    """Error of a refused request."""

    detail: str = Field(description="one line that names the file or value and the remedy")
