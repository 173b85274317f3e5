"""Draw a simulated field that no training has seen, enhanced: docs/superres.png.

`python benchmarks/_enhanced_plot.py docs/superres.png`
"""

import sys
from pathlib import Path

import torch

from wolter.images.evaluate.panels import Panel, side_by_side
from wolter.images.simulator import ImageSimulateConfig, ImageSimulator
from wolter.images.tiling import enhance
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find
from wolter.report import style
from wolter.xray.imaging.consistency import ForwardImage, check_map
from wolter.xray.instruments import epic_pn_camera as camera

SEED, CUT = 99, slice(190, 350)  # input rows and columns that are shown


def main(path: Path) -> None:
    """Draw input, answer, truth, and where the photons contradict the answer."""
    model = load_model(find("superres", "pretrained")[0])
    simulator = ImageSimulator(
        ImageSimulateConfig(scenes=("remnant",), exposure_s=(20e3, 20e3), bad_columns=0)
    )
    pair = simulator.draw(SEED, 0).pair
    found = enhance(model.family, model.module, pair, 2)
    assert pair.expected_target_BHW is not None
    assert pair.target_exposure_BHW is not None

    def rate(counts: torch.Tensor, exposure: torch.Tensor) -> torch.Tensor:
        return torch.where(exposure > 0, counts / exposure, torch.nan)[0]

    input_HW = rate(pair.counts_BHW, pair.exposure_BHW)
    truth_HW = rate(pair.expected_target_BHW, pair.target_exposure_BHW)
    answer_HW = torch.where(truth_HW.isnan(), torch.nan, found["rate"][0])
    check_HW = check_map(
        found["rate"][0],
        pair.counts_BHW[0],
        pair.exposure_BHW[0],
        pair.background_BHW[0],
        ForwardImage(axis_yx=camera.AXIS_XY[::-1]),
    )
    fine = slice(2 * CUT.start, 2 * CUT.stop)
    panels = [
        Panel("20 ks", input_HW[CUT, CUT].numpy(), "rate", 4.0),
        Panel("super-resolved", answer_HW[fine, fine].numpy(), "rate", 2.0),
        Panel("truth", truth_HW[fine, fine].numpy(), "rate", 2.0),
        Panel("photons against answer", check_HW[CUT, CUT].numpy(), "sigma", 4.0),
    ]
    path.write_bytes(style.to_png(side_by_side(panels)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
