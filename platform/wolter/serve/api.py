"""The HTTP interface: the application with its routes, limits and errors."""

from typing import Annotated

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import Field

from wolter import __version__
from wolter.serve import health, images, problems, spectra
from wolter.serve.config import MB, REQUEST_TIMEOUT_S
from wolter.serve.images import ServedImages
from wolter.serve.limits import Admit, LimitBody
from wolter.serve.models import ServedModel
from wolter.serve.schemas import ImagesInfo, ParameterInfo, SpectraInfo
from wolter.serve.service import Service

_ABOUT = """
Parameters of X-ray spectra and better X-ray images, by networks that learnt from simulated ones.
Send PHA files with their RMF, ARF and background, or counts as JSON; or FITS images of photons.
"""


def build_app(service: Service) -> FastAPI:
    """The application that answers from a service."""
    app = FastAPIOffline(title="wolter", description=_ABOUT, version=__version__, redoc_url=None)
    config = service.config
    most, most_json = int(config.max_request_mb * MB), int(config.max_json_mb * MB)
    app.add_middleware(LimitBody, max_bytes=most, max_json=most_json)
    app.add_middleware(
        Admit,
        at_once=config.max_ongoing,
        waiting=config.max_queued,
        timeout_s=REQUEST_TIMEOUT_S,
    )
    problems.add_handlers(app)
    health.add_routes(app, service.watch)

    @app.get("/v1/models")
    async def models() -> list[Annotated[SpectraInfo | ImagesInfo, Field(discriminator="kind")]]:
        """The models, with what they were trained on: parameters and grids, or pixels."""
        described = [
            _spectra(name, served, name == service.default)
            for name, served in service.models.items()
        ]
        return [*described, *(_images(name, served) for name, served in service.images.items())]

    images.add_route(app, service)
    spectra.add_route(app, service)
    return app


def _spectra(name: str, served: ServedModel, default: bool) -> SpectraInfo:
    spec = served.spec
    return SpectraInfo(
        kind="spectra",
        model_name=name,
        model_version=served.version,
        default=default,
        parameters=[
            ParameterInfo(name=p.name, unit=p.unit, low=p.low, high=p.high) for p in spec.parameters
        ],
        components=list(spec.components),
        energy_edges=list(spec.energy_edges),
        instrument=spec.instrument,
        exposure_s=None if spec.exposure_s is None else list(spec.exposure_s),
    )


def _images(name: str, served: ServedImages) -> ImagesInfo:
    spec = served.spec
    return ImagesInfo(
        kind="images",
        model_name=name,
        model_version=served.version,
        task=name.partition("-")[2] or name,
        default=name == images.FAMILY,
        scale=spec.scale,
        pixel_arcsec=spec.pixel_arcsec,
        band_kev=list(spec.band_kev),
        instrument=spec.instrument,
        exposure_s=None if spec.exposure_s is None else list(spec.exposure_s),
    )
