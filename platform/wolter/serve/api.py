"""The HTTP interface: routes, errors and their documentation."""

import math
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wolter import __version__
from wolter.data.evidence import Evidence
from wolter.data.records import Record, ResponseChoice
from wolter.data.schema import Parameter, SpectraSpec
from wolter.errors import InputError
from wolter.predict import estimate_flags
from wolter.serve import images
from wolter.serve.config import MB, ServeConfig
from wolter.serve.images import ServedImages
from wolter.serve.models import DEFAULT_FAMILY, Estimates, ServedModel
from wolter.serve.requests import ROLES, UploadReader, one_line, records_of_counts
from wolter.serve.schemas import (
    Answer,
    Counts,
    Estimate,
    Fit,
    Health,
    ModelInfo,
    ParameterInfo,
    Problem,
    SpectrumAnswer,
)
from wolter.serve.uploads import TooLargeError

MAX_FILES = 256

_ABOUT = """
Parameters of X-ray spectra and better X-ray images, by networks that learnt from simulated ones.
Send PHA files with their RMF, ARF and background, or counts as JSON; or FITS images of photons.
"""

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request is not well-formed multipart"},
    413: {"model": Problem, "description": "A file or the request is too large"},
    415: {"model": Problem, "description": "Neither multipart/form-data nor application/json"},
    422: {"model": Problem, "description": "A file or value cannot be used; says which and why"},
    429: {
        "description": "Too many requests wait; try again after the seconds of Retry-After",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["pha"],
                    "additionalProperties": False,
                    "properties": {
                        "pha": _FILES | {"description": "spectra (OGIP PHA type I)", "minItems": 1},
                        "rmf": _FILES | {"description": "one for all, or as RESPFILE names them"},
                        "arf": _FILES | {"description": "one for all, or as ANCRFILE names them"},
                        "background": _FILES
                        | {"description": "one for all, or as BACKFILE names them"},
                    },
                }
            },
            "application/json": {"schema": Counts.model_json_schema()},
        },
    }
}


class Service(Protocol):
    """What answers requests."""

    config: ServeConfig
    models: dict[str, ServedModel]
    images: dict[str, ServedImages]
    uploads: UploadReader


def build_app(service: Service) -> FastAPI:
    """The application that answers from a service."""
    app = FastAPIOffline(title="wolter", description=_ABOUT, version=__version__, redoc_url=None)
    app.add_middleware(LimitBody, max_bytes=int(service.config.max_request_mb * MB))
    _add_problems(app)

    @app.get("/healthz", responses={503: {"model": Problem, "description": "A model fails"}})
    async def healthz() -> Health:
        """Whether every model answers: 200 only then."""
        every: dict[str, ServedModel | ServedImages] = {**service.models, **service.images}
        for name, served in every.items():
            if not await served.answers():
                raise HTTPException(503, f"{name} version {served.version} does not answer")
        return Health(models={name: each.version for name, each in every.items()})

    @app.get("/v1/models")
    async def models() -> list[ModelInfo]:
        """The models of spectra, with their parameters, energy grids and training ranges."""
        default = _default(service.models)
        return [_info(name, served, name == default) for name, served in service.models.items()]

    images.add_route(app, service.images, service.uploads, _PROBLEMS)

    @app.post("/v1/spectra/parameters", responses=_PROBLEMS, openapi_extra=_BODY)
    async def parameters(
        request: Request,
        family: Annotated[str | None, Query(description="model family to ask")] = None,
        response: Annotated[
            ResponseChoice,
            Query(description="files, or embedded: the EPIC-pn response that needs no files"),
        ] = "files",
        no_background: Annotated[bool, Query(description="leave BACKFILE out")] = False,
        components: Annotated[bool, Query(description="also the component spectra")] = False,
        refine: Annotated[
            bool,
            Query(
                description="the exact posterior of each PHA file in place of the network's, and "
                "how well the model explains the spectrum (family posterior; seconds a spectrum)"
            ),
        ] = False,
    ) -> Answer:
        """Parameters of one or many spectra, sent as PHA files or as counts."""
        served = _served(service.models, family)
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind == "application/json":
            if refine:
                raise InputError("refine: counts come without a response; send PHA files")
            body = await request.body()
            records = records_of_counts(body, served.spec, service.config.max_spectra)
        elif kind == "multipart/form-data":
            async with request.form(max_files=MAX_FILES, max_fields=len(ROLES)) as form:
                if refine:
                    evidence = await service.uploads.evidence(
                        form, served.spec, response, not no_background
                    )
                    return await refined_answer(served, evidence)
                records = await service.uploads.records(
                    form, served.spec, response, not no_background
                )
        else:
            raise HTTPException(415, "send multipart/form-data (PHA files) or application/json")
        return await answer(served, records, components)

    return app


async def answer(served: ServedModel, records: list[Record], components: bool = False) -> Answer:
    """What a model says of records."""
    batch = type(records[0].batch).concatenate([record.batch for record in records])
    values = await served.estimate(batch)
    flags = estimate_flags(served.spec, batch, values)
    spectra = []
    for i, record in enumerate(records):
        spectrum = _spectrum(served.spec, record, values, i, flags[i])
        if components and "components" in values:
            names = served.spec.components
            spectrum.components = {
                name: values["components"][i, k].tolist() for k, name in enumerate(names)
            }
        spectra.append(spectrum)
    return _answer(served, spectra)


async def refined_answer(served: ServedModel, evidence: list[Evidence]) -> Answer:
    """The exact posteriors of spectra, each held against its spectrum.

    Raises:
        InputError: the family gives no posteriors.
    """
    spectra = []
    for each in evidence:
        judged = await served.judge(each, refined=True)
        spectrum = _spectrum(served.spec, each.record, judged.values, 0, judged.flags)
        spectrum.fit = Fit(**judged.figures)
        spectra.append(spectrum)
    return _answer(served, spectra)


def _answer(served: ServedModel, spectra: list[SpectrumAnswer]) -> Answer:
    name = served.model.family.name
    return Answer(model_name=name, model_version=served.version, spectra=spectra)


def _spectrum(
    spec: SpectraSpec, record: Record, values: Estimates, i: int, flags: list[str]
) -> SpectrumAnswer:
    return SpectrumAnswer(
        file=record.name,
        parameters={p.name: _estimate(values, p, i) for p in spec.parameters},
        flags=[*record.flags, *flags],
        novelty=_known(values["novelty"][i]),
        fit=None,
        components=None,
        counts=float(record.batch.counts_BC.sum()),
        exposure_s=float(record.batch.exposure_B[0]),
    )


def _known(value: float) -> float | None:
    """The value as JSON can hold it: null for NaN."""
    return None if math.isnan(value) else float(value)


def _estimate(values: Estimates, parameter: Parameter, i: int) -> Estimate:
    def value(suffix: str) -> float | None:
        column = values.get(parameter.name + suffix)
        return None if column is None else float(column[i])

    def interval(level: str) -> tuple[float, float] | None:
        low, high = value(f"_lolim{level}"), value(f"_hilim{level}")
        return None if low is None or high is None else (low, high)

    return Estimate(
        value=float(values[parameter.name][i]),
        value_mfe=value("_mfe"),
        interval_68=interval(""),
        interval_95=interval("95"),
        upper_limit=value("_upper"),
        unit=parameter.unit,
    )


def _default(models: dict[str, ServedModel]) -> str:
    return DEFAULT_FAMILY if DEFAULT_FAMILY in models else next(iter(models), "")


def _served(models: dict[str, ServedModel], family: str | None) -> ServedModel:
    name = family or _default(models)
    if name not in models:
        raise InputError(
            f"family: {name[:50]!r} is not served; choose one of {', '.join(models) or '(none)'}"
        )
    return models[name]


def _info(name: str, served: ServedModel, default: bool) -> ModelInfo:
    spec = served.spec
    return ModelInfo(
        model_name=name,
        model_version=served.version,
        default=default,
        kind=spec.kind,
        parameters=[
            ParameterInfo(name=p.name, unit=p.unit, low=p.low, high=p.high) for p in spec.parameters
        ],
        components=list(spec.components),
        energy_edges=list(spec.energy_edges),
        instrument=spec.instrument,
        exposure_s=None if spec.exposure_s is None else list(spec.exposure_s),
    )


def _add_problems(app: FastAPI) -> None:
    """Every error is JSON with one line."""

    @app.exception_handler(InputError)
    async def bad_input(_: Request, error: InputError) -> JSONResponse:
        status = 413 if isinstance(error, TooLargeError) else 422
        return JSONResponse({"detail": " ".join(str(error).split())}, status)

    @app.exception_handler(RequestValidationError)
    async def bad_value(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": one_line(error.errors())}, 422)


class LimitBody:
    """ASGI middleware: refuses bodies over a number of bytes, announced or sent."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        line = f"the request is larger than {self.max_bytes / MB:g} MB; send fewer files"
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.max_bytes:
            await JSONResponse({"detail": line}, 413)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(413, line)
            return message

        await self.app(scope, counted, send)
