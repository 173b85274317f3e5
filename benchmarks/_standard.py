"""The standard response and background: NGC 7793 ULX-4, XMM-Newton EPIC-pn, ObsID 0693760101."""

import os
from pathlib import Path
from typing import Any

from wolter.spectra.simulator import SimulateConfig

SOURCE_BACKSCAL = 2_010_100.0  # of ULX-4's source region


def standard_config(**options: Any) -> SimulateConfig:
    """Config of simulations on the standard response; on embedded ones without its files.

    Args:
        options: other fields of `SimulateConfig`.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", beside)) / "xmm" / "ngc7793_ulx4"
    if not folder.is_dir():
        return SimulateConfig(**options)
    return SimulateConfig(
        rmf=str(folder / "PN.rmf"),
        arf=str(folder / "PN.arf"),
        backgrounds=(str(folder / "PNbackground_spectrum.fits"),),
        source_backscal=SOURCE_BACKSCAL,
        **options,
    )
