"""`wolter predict` for families of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wolter.data.out_paths import check_out, stem
from wolter.images.fits_output import SUFFIXES, write
from wolter.images.plot import compared, draw, other_of
from wolter.images.predict import enhance_picture, model_name
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find
from wolter.report.style import PICTURES
from wolter.xray.imaging.counts_image import read_counts_image


@dataclass(frozen=True)
class PredictImages:
    """Denoise or super-resolve an image of photons: FITS in, FITS out, on the same sky.

    The answer is in ct/s per output pixel; extensions hold its uncertainty and, in sigma, where the
    input's photons contradict it.

    Attributes:
        family: name of the family.
        file: FITS image of counts, with EXPOSURE.
        out: FITS image to write; .fits, or .fits.gz for a gzipped one.
        task: what to do: superres doubles the pixels, denoise keeps them.
        exposure_map: FITS image of seconds on the same pixels; EPIC-pn images in detector
            coordinates need none.
        mask: FITS image, 0 where pixels are to be left out.
        exposure: exposure in seconds, in place of the header's.
        version: version, run id or alias of the model in the registry; "pretrained" for the weights
            that come with the package, which also stand in where there is no champion.
        checkpoint: folder of a model to use in place of the registry's.
        compare: FITS image of another telescope, such as Chandra, to show beside the answer; its
            offset and ratio of fluxes are measured.
        plot: picture to draw: input, answer, uncertainty and check; .png, .pdf or .svg.
    """

    family: tyro.conf.Positional[str]
    file: tyro.conf.Positional[Path]
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    task: str = "superres"
    exposure_map: Path | None = None
    mask: Path | None = None
    exposure: float | None = None
    version: str = "champion"
    checkpoint: Path | None = None
    compare: Path | None = None
    plot: Path | None = None

    def run(self) -> int:
        """Enhance the image, and say what had to be assumed."""
        name = model_name(self.family, self.task)
        plot = self._check_outputs()
        picture = read_counts_image(self.file, self.exposure_map, self.mask, self.exposure)
        folder, version = (self.checkpoint, "") if self.checkpoint else find(name, self.version)
        model = load_model(folder)
        other = None
        if self.compare is not None:
            other = other_of(self.compare, picture, model.card.spec.scale)
        enhanced = enhance_picture(model, picture, version)
        write(enhanced, self.out)
        for remark in enhanced.remarks:
            print(f"note: {remark}")
        rows, columns = enhanced.rate_HW.shape
        print(f"{columns} x {rows} pixels by {enhanced.model_name} {version}: {self.out}")
        print(enhanced.agreement)
        comparison = None if other is None else compared(enhanced, other)
        if comparison is not None:
            print(comparison)
        if plot is not None:
            draw(enhanced, plot, comparison)
            print(f"picture: {plot}")
        return 0

    def _check_outputs(self) -> Path | None:
        """Check what will be written, and where to; the picture's file, if one is to be drawn."""
        inputs = (self.file, self.exposure_map, self.mask, self.compare)
        check_out(self.out, inputs, SUFFIXES)
        plot = self.plot
        if plot is None and self.compare is not None:
            plot = self.out.with_name(f"{stem(self.out)}.png")
        return None if plot is None else check_out(plot, (*inputs, self.out), PICTURES)
