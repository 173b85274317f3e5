"""Enhanced images over HTTP: the route, its models and its documentation."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import torch
from astropy.io.fits import VerifyError
from fastapi import FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from wolter import family as families
from wolter.errors import InputError
from wolter.images.fits_output import to_bytes
from wolter.images.predict import enhance_picture, variant_name
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.tiling import enhance
from wolter.registry.checkpoint import Model, fingerprint
from wolter.serve.config import LEAST_S, MOST
from wolter.serve.problems import RESPONSES
from wolter.serve.requests import IMAGE_ROLES
from wolter.serve.uploads import plain_name
from wolter.xray.imaging.counts_image import CountsImage

if TYPE_CHECKING:
    from wolter.serve.service import Service

FAMILY = "superres"
MEDIA_TYPE = "application/fits"
_FILE = {"type": "string", "format": "binary"}
BODY: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": _FILE | {"description": "FITS image of counts, with EXPOSURE"},
                        "exposure_map": _FILE
                        | {"description": "FITS image of seconds on the same pixels"},
                        "mask": _FILE | {"description": "FITS image, 0 where pixels are left out"},
                    },
                }
            }
        },
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "FITS: the rate in ct/s per pixel, with extensions UNCERTAINTY, LOWER, "
        "UPPER, CHECK, EXPMAP and BACKGROUND; comments of its header say what was assumed",
        "content": {MEDIA_TYPE: {"schema": _FILE}},
    }
}


class ServedImages:
    """A model that enhances images, one at a time."""

    def __init__(self, model: Model, version: str = "") -> None:
        self.model = model
        self.version = version or fingerprint(model)
        self._alone = ThreadPoolExecutor(1)  # each uses all cores

    @property
    def spec(self) -> ImageSpec:
        """The images that the model reads."""
        spec: ImageSpec = self.model.card.spec
        return spec

    async def enhance(self, picture: CountsImage) -> bytes:
        """The answer as a FITS file (see `wolter.images.fits_output.to_hdus`).

        Raises:
            InputError: its pixels are not those that the model was trained on, or its header is too
                damaged to be written again.
        """
        return await asyncio.get_running_loop().run_in_executor(self._alone, self._fits, picture)

    def _fits(self, picture: CountsImage) -> bytes:
        enhanced = enhance_picture(self.model, picture, self.version)
        try:
            return to_bytes(enhanced)
        except (ValueError, TypeError, LookupError, AttributeError, Warning, VerifyError) as error:
            told = str(error) or type(error).__name__
            raise InputError(
                f"{picture.file}: its header cannot be written again ({told[:200]}); correct it"
            ) from error

    def check(self) -> str:
        """Why the model gives no finite rates of an even image; empty where it does."""
        even_BHW = torch.ones(1, 16, 16)
        batch = ImageBatch(even_BHW, even_BHW * 1e4, even_BHW * 0.5)
        found = enhance(self.model.family, self.model.module, batch, self.spec.scale)
        whole = all(bool(value.isfinite().all()) for value in found.values())
        return "" if whole else "no finite rates of an even image"


class Asked(BaseModel):
    """Query of a request for an image."""

    model_config = ConfigDict(extra="forbid")

    task: str = Field(FAMILY, description="superres doubles the pixels, denoise keeps them")
    exposure: float | None = Field(
        None,
        ge=LEAST_S,
        le=MOST,
        allow_inf_nan=False,
        description="seconds, in place of the header's EXPOSURE",
    )


def add_route(app: FastAPI, service: "Service") -> None:
    """Serve `POST /v1/images/enhance`."""

    @app.post(
        "/v1/images/enhance",
        response_class=Response,
        responses={**RESPONSES, **_ANSWER},
        openapi_extra=dict(BODY),
    )
    async def enhanced(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        """Denoise or super-resolve an image of photons: FITS in, FITS out, on the same sky."""
        served = service.enhancer(variant_name(families.load(FAMILY), asked.task))
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise HTTPException(415, "send multipart/form-data (a FITS image in the field image)")
        async with request.form(max_files=len(IMAGE_ROLES), max_fields=len(IMAGE_ROLES)) as form:
            picture = await service.uploads.picture(form, asked.exposure)
        content = await served.enhance(picture)
        stem = Path(plain_name(picture.file)).name.partition(".")[0]
        headers = {"content-disposition": attachment(f"{stem}-{asked.task}.fits")}
        return Response(content, media_type=MEDIA_TYPE, headers=headers)


def attachment(name: str) -> str:
    """Value of Content-Disposition that names a file in any script (RFC 6266)."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    more = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{more}'
