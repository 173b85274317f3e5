"""Images restored by jolideco (Donath et al. 2024, AJ 168, 182): Poisson likelihood, patch prior.

Its own priors are a library of mixtures of Gaussians that its package does not hold. This one is
learnt as those were, but of what is judged here: patches of noise-free simulated skies, in the
logarithm of brightness, each about its mean. Jolideco is optional: ask `installed` first.

Shapes: B one, H and W rows and columns of the input, S scale, N patches of K x K pixels.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wolter.images.evaluate.baselines import gaussian
from wolter.images.schema import ImageBatch
from wolter.images.simulator import ImageSimulateConfig, ImageSimulator
from wolter.xray.imaging.consistency import ForwardImage

LIBRARY = "JOLIDECO_GMM_LIBRARY"
PATCH = 8  # rows and columns, pixels of the target
FLOOR = 1e-8  # ct/s in such a pixel: a hundredth of the background


def installed() -> bool:
    return find_spec("jolideco") is not None


def learnt(fields: int = 16, components: int = 24, patches: int = 32_000, seed: int = 5) -> Any:
    """A mixture of Gaussians of patches, as jolideco's priors are given one."""
    from sklearn.mixture import GaussianMixture

    own = _package()
    simulator = ImageSimulator(ImageSimulateConfig(tile=0))
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for index in range(fields):
        pair = simulator.draw(seed, index).pair
        assert pair.expected_target_BHW is not None
        assert pair.target_exposure_BHW is not None
        seen_HW = pair.target_exposure_BHW[0] > 0
        rate_HW = pair.expected_target_BHW[0] / pair.target_exposure_BHW[0].clamp(min=1)
        windows = [
            each_HW.unfold(0, PATCH, 1).unfold(1, PATCH, 1).flatten(2)
            for each_HW in ((rate_HW + FLOOR).log(), seen_HW.float())
        ]
        whole = windows[1].all(-1).nonzero()  # no gap runs through them
        chosen = whole[torch.randint(len(whole), (patches // fields,), generator=generator)]
        drawn.append(windows[0][chosen[:, 0], chosen[:, 1]])
    patch_NK = torch.cat(drawn)
    patch_NK = (patch_NK - patch_NK.mean(1, keepdim=True)).double().numpy()
    fitted = GaussianMixture(components, reg_covar=1e-4, random_state=seed, max_iter=50)
    fitted.fit(patch_NK)
    meta = own.priors.patches.gmm.GaussianMixtureModelMeta(stride=PATCH // 2)
    return own.priors.GaussianMixtureModel.from_numpy(
        fitted.means_, fitted.covariances_, fitted.weights_, meta
    )


def restored(seen: ImageBatch, fold: ForwardImage, mixture: Any, epochs: int = 80) -> Tensor:
    """Rate (B, S H, S W), ct/s, of highest posterior probability; one image.

    Jolideco's predicted counts and prior, and its optimiser, rate and parameter. Its own loop would
    expose before it blurs, which fills gaps, and halve the kernel's pixels, which moves the image.
    """
    own = _package()
    assert len(seen) == 1
    prior = own.priors.GMMPatchPrior(gmm=mixture, norm=own.utils.norms.LogImageNorm(frozen=True))
    first_BHW = gaussian(seen, fold.scale, 2.0) + FLOOR
    fine = torch.ones_like(first_BHW)[None]
    blur = own.models.npred.NPredModel(fine, fold.kernels()[:1, None], upsampling_factor=fold.scale)
    lacking = torch.nn.PoissonNLLLoss(log_input=False, eps=1e-25)
    log_rate_BHW = first_BHW.log().requires_grad_()
    optimiser = torch.optim.Adam([log_rate_BHW], lr=0.1)
    within_BHW = blur(fine).detach()[0]  # nothing is blurred in from beyond the edges
    for _ in range(epochs):
        optimiser.zero_grad()
        rate_BHW = log_rate_BHW.exp()
        seen_BHW = blur(rate_BHW[None])[0] / within_BHW * fold.scale**2
        expected_BHW = seen_BHW * seen.exposure_BHW + seen.background_BHW
        # Means over the pixels of the input and of the answer, which are more: sums are compared.
        loss = lacking(expected_BHW, seen.counts_BHW) - fold.scale**2 * prior(rate_BHW[None])
        loss.backward()
        optimiser.step()
    return log_rate_BHW.detach().exp()


def _package() -> Any:
    """Jolideco, whose import reads the index of a library: of an empty one, if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "jolideco-gmm-library-index.json").write_text("{}")
        own = LIBRARY in os.environ
        os.environ.setdefault(LIBRARY, folder)
        import jolideco
        import jolideco.models.npred
        import jolideco.priors.patches.gmm
        import jolideco.utils.norms

        if not own:
            del os.environ[LIBRARY]
    return jolideco
