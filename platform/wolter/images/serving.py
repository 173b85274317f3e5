"""Enhanced images over HTTP: one FITS image in, one FITS file out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from astropy.io.fits import VerifyError
from pydantic import BaseModel, ConfigDict, Field

from wolter.answering.batches import Join
from wolter.answering.contract import (
    FileField,
    LongError,
    ModelInfo,
    Reply,
    Request,
    Served,
    Serving,
)
from wolter.answering.values import LEAST_S, MOST
from wolter.errors import InputError
from wolter.images.fits_output import to_bytes
from wolter.images.predict import enhance_picture
from wolter.images.schema import ImageSpec
from wolter.images.uploads import read_image
from wolter.registry.checkpoint import Model
from wolter.threads import apart
from wolter.xray.imaging.counts_image import CountsImage

MEDIA_TYPE = "application/fits"


class EnhanceQuery(BaseModel):
    """Query of a request for an image."""

    model_config = ConfigDict(extra="forbid")

    task: str = Field(
        "",
        description="superres doubles the pixels, denoise keeps them; the family's main task where "
        "it is missing",
    )
    exposure: float | None = Field(
        None,
        ge=LEAST_S,
        le=MOST,
        allow_inf_nan=False,
        description="seconds, in place of the header's EXPOSURE",
    )


class ImagesInfo(ModelInfo):
    """A model of images that is served."""

    task: str = Field(description="what to ask for as task")
    scale: int = Field(description="pixels of the answer along a side of an input pixel")
    pixel_arcsec: float = Field(description="side of an input pixel")
    band_kev: list[float] = Field(description="energy band of the photons")
    instrument: str = Field(description="telescope/instrument/filter of the training data")
    exposure_s: list[float] | None = Field(description="trained range of exposures, s")


class ServedImages(Served):
    """A model that enhances images, one at a time."""

    def __init__(self, model: Model, version: str = "") -> None:
        super().__init__(model, version)
        self._alone = ThreadPoolExecutor(1)  # each uses all cores

    @property
    def spec(self) -> ImageSpec:
        """The images that the model reads."""
        spec: ImageSpec = self.model.card.spec
        return spec

    @property
    def task(self) -> str:
        """Value of the query `task` that this model answers."""
        return self.name.partition("-")[2] or self.name

    async def answer(self, request: Request) -> Reply:
        """FITS of the enhanced image, on the same sky.

        Raises:
            InputError: a file or value is bad, or the image is none that the model can read.
            LongError: the image is large, and the client waits.
            UnavailableError: readers are lost.
        """
        read = partial(
            read_image,
            exposure_s=request.query.exposure,
            max_pixels=request.limits.max_elements,
        )
        picture = await request.read(read)
        pixels = picture.counts_HW.numel()
        if pixels > request.limits.job_elements and not request.long:
            raise LongError(pixels)
        stem = picture.file.partition(".")[0]
        return Reply(
            await self.enhance(picture, request.progress), MEDIA_TYPE, f"{stem}-{self.task}.fits"
        )

    async def enhance(
        self, picture: CountsImage, progress: Callable[[float], None] | None = None
    ) -> bytes:
        """The answer as a FITS file (see `wolter.images.fits_output.to_hdus`).

        Args:
            picture: to enhance.
            progress: is told which part is done, 0 to 1.

        Raises:
            InputError: its pixels are not those that the model was trained on, or its header is too
                damaged to be written again.
        """
        work = partial(apart, self._fits, picture, progress)
        return await asyncio.get_running_loop().run_in_executor(self._alone, work)

    def _fits(self, picture: CountsImage, progress: Callable[[float], None] | None) -> bytes:
        enhanced = enhance_picture(self.model, picture, self.version, progress)
        try:
            return to_bytes(enhanced)
        except (ValueError, TypeError, LookupError, AttributeError, Warning, VerifyError) as error:
            told = str(error) or type(error).__name__
            raise InputError(
                f"{picture.file}: its header cannot be written again ({told[:200]}); correct it"
            ) from error

    def info(self, default: bool) -> ImagesInfo:
        """Description of the model."""
        spec = self.spec
        return ImagesInfo(
            **self.told(default),
            task=self.task,
            scale=spec.scale,
            pixel_arcsec=spec.pixel_arcsec,
            band_kev=list(spec.band_kev),
            instrument=spec.instrument,
            exposure_s=None if spec.exposure_s is None else list(spec.exposure_s),
        )


class ImagesServing(Serving):
    """HTTP answers of models that enhance images."""

    about = "Denoise or super-resolve an image of photons: FITS in, FITS out, on the same sky."
    fields = (
        FileField("image", "FITS image of counts, with EXPOSURE"),
        FileField("exposure_map", "FITS image of seconds on the same pixels"),
        FileField("mask", "FITS image, 0 where pixels are left out"),
    )
    Query = EnhanceQuery
    Info = ImagesInfo
    dear = "all"
    long = True

    def load(
        self,
        model: Model,
        version: str = "",
        join: Join | None = None,  # noqa: ARG002  # images are enhanced one at a time
    ) -> ServedImages:
        """Load a model for requests."""
        return ServedImages(model, version)

    def documented(self, served: Sequence[Served]) -> Mapping[str, Any]:  # noqa: ARG002
        """OpenAPI description of the answer."""
        return {
            "description": "FITS: the rate in ct/s per pixel, with extensions UNCERTAINTY, LOWER, "
            "UPPER, CHECK, EXPMAP and BACKGROUND; comments of its header say what was assumed",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
