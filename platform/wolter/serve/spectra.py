"""Parameters of spectra over HTTP: the route and its documentation."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from wolter.errors import InputError
from wolter.serve.answers import answers, check_components, joined, refined_answer, whole
from wolter.serve.config import ANSWER_S
from wolter.serve.counts import records_of_counts
from wolter.serve.models import PIECE
from wolter.serve.problems import RESPONSES
from wolter.serve.reading import Job
from wolter.serve.requests import MAX_FILES, ROLES
from wolter.serve.schemas import Answer, Counts
from wolter.serve.service import Service
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import ModelCheck
from wolter.spectra.reading import ResponseChoice
from wolter.xray.instruments.instrument import DEFAULT, load

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_FORM = {
    "pha": _FILES | {"description": "spectra (OGIP PHA type I)", "minItems": 1},
    "rmf": _FILES | {"description": "one for all, or as RESPFILE names them"},
    "arf": _FILES | {"description": "one for all, or as ANCRFILE names them"},
    "background": _FILES | {"description": "one for all, or as BACKFILE names them"},
}
BODY: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["pha"],
                    "additionalProperties": False,
                    "properties": _FORM,
                }
            },
            "application/json": {"schema": Counts.model_json_schema()},
        },
    }
}


class Asked(BaseModel):
    """Query of a request for parameters."""

    model_config = ConfigDict(extra="forbid")

    family: str | None = Field(None, description="model family to ask; the one with intervals")
    response: ResponseChoice = Field(
        "files", description="files, or embedded: the response of `instrument` that needs no files"
    )
    instrument: str = Field(DEFAULT, description="instrument of an embedded response")
    no_background: bool = Field(False, description="leave BACKFILE out")
    components: bool = Field(False, description="also the component spectra")
    refine: bool = Field(
        False,
        description="the exact posterior of each PHA file in place of the network's, and how well "
        "the model explains the spectrum (family posterior; seconds a spectrum); without it, of "
        "the first of those alone whose response, background or band the model was not trained on, "
        "up to 16 and as many as half a minute suffices for",
    )


def add_route(app: FastAPI, service: Service) -> None:
    """Serve `POST /v1/spectra/parameters`."""

    @app.post(
        "/v1/spectra/parameters",
        response_model=Answer,
        responses=dict(RESPONSES),
        openapi_extra=dict(BODY),
    )
    async def parameters(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        """Parameters of one or many spectra, sent as PHA files or as counts."""
        served = service.spectra(asked.family)
        beyond: dict[int, GriddedObservation] = {}
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind == "application/json":
            if asked.refine:
                raise InputError("refine: counts come without a response; send PHA files")
            body = await request.body()
            most = service.config.max_spectra
            records = await service.alone(records_of_counts, body, served.spec, most)
        elif kind == "multipart/form-data":
            how = partial(
                Job,
                spec=served.spec,
                response=asked.response,
                instrument=load(asked.instrument).name,
                use_background=not asked.no_background,
            )
            async with request.form(max_files=MAX_FILES, max_fields=len(ROLES)) as form:
                if asked.refine:
                    gridded = await service.uploads.gridded(form, how)
                    checked = [await served.check_model(each, refined=True) for each in gridded]
                    told = await service.alone(refined_answer, served, gridded, checked)
                    return Response(told, media_type="application/json")
                trained = served.model.card.trained
                if trained is None:
                    records = await service.uploads.records(form, how)
                else:
                    records, beyond = await service.uploads.evidence_beyond(
                        form, partial(how, trained=trained)
                    )
        else:
            raise HTTPException(415, "send multipart/form-data (PHA files) or application/json")
        parts = []
        for start in range(0, len(records), PIECE):
            piece = records[start : start + PIECE]
            values = await served.estimate(joined(piece))
            if asked.components:
                check_components(values, len(records), service.config.max_components)
            exact: dict[int, ModelCheck] = {}
            if beyond and "samples" in values:  # posteriors can be refined
                left = request.scope["answer_by"] - asyncio.get_running_loop().time() - ANSWER_S
                exact = await served.refine_within(beyond, min(left, service.config.refine_s))
            parts.append(
                await service.alone(answers, served, piece, values, asked.components, exact)
            )
        return Response(whole(served, parts), media_type="application/json")
