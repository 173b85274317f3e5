"""`wolter predict` for families of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wolter.predict_images import draw, enhance_picture, model_name, write
from wolter.train.checkpoint import load_model
from wolter.train.shipped import find
from wolter.xray.picture import read_picture


@dataclass(frozen=True)
class PredictImages:
    """Denoise or super-resolve an image of photons: FITS in, FITS out, on the same sky.

    The answer is in ct/s per output pixel; extensions hold its uncertainty and, in sigma, where the
    input's photons contradict it.

    Attributes:
        family: name of the family.
        file: FITS image of counts, with EXPOSURE.
        out: FITS image to write.
        task: what to do: superres doubles the pixels, denoise keeps them.
        exposure_map: FITS image of seconds on the same pixels; EPIC-pn images in detector
            coordinates need none.
        mask: FITS image, 0 where pixels are to be left out.
        exposure: exposure in seconds, in place of the header's.
        version: version, run id or alias of the model in the registry; "shipped" for the weights
            that come with the package, which also stand in where there is no champion.
        checkpoint: folder of a model to use in place of the registry's.
        compare: FITS image of another telescope, such as Chandra, to show beside the answer.
        plot: picture to draw: input, answer, uncertainty and check (PNG or PDF).
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
        picture = read_picture(self.file, self.exposure_map, self.mask, self.exposure)
        folder, version = (self.checkpoint, "") if self.checkpoint else find(name, self.version)
        enhanced = enhance_picture(load_model(folder), picture, version)
        write(enhanced, self.out)
        for remark in enhanced.remarks:
            print(f"note: {remark}")
        rows, columns = enhanced.rate_HW.shape
        print(f"{columns} x {rows} pixels by {enhanced.model_name} {version}: {self.out}")
        if self.plot is not None or self.compare is not None:
            plot = self.plot or self.out.with_suffix(".png")
            draw(enhanced, plot, self.compare)
            print(f"picture: {plot}")
        return 0
