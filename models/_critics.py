"""Critics trained beside generators by one optimiser and one loss.

The generator's loss uses critics of fixed weights, and the critics' loss detached outputs of the
generator. Each part of the loss then trains only its own network, on any number of workers.

Shapes: B batch, H and W rows and columns.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

STRIDES = 4  # convolutions of a critic of images that halve rows and columns


class ImageCritic(nn.Sequential):
    """Scores images (B, 1, H, W): higher for those of the targets' kind.

    Without batch norms, and without a constant at the end, which relativistic scores do not have.
    """

    def __init__(self, filters: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, filters, 3, padding=1), nn.LeakyReLU(0.2)]
        for i in range(STRIDES):
            inputs, outputs = filters * 2 ** min(i, 2), filters * 2 ** min(i + 1, 2)
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * filters, 1, bias=False)
        )


def fixed_score(critic: nn.Module, made: Tensor) -> Tensor:
    """Critic scores with frozen critic weights, for the generator's gradient."""
    fixed = {name: value.detach() for name, value in critic.named_parameters()}
    score: Tensor = functional_call(critic, fixed, made)
    return score


def scored_with_slope(critic: nn.Module, real: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of real samples and the mean square of their gradient (Mescheder et al. 2018)."""
    real = real.detach().requires_grad_()
    score = critic(real)
    (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
    return score, slope.flatten(1).square().sum(1).mean()


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """Loss of scores that ought to be above the average of others (Jolicoeur-Martineau 2018)."""
    softplus = nn.functional.softplus
    above = softplus(worse.mean() - better).mean()
    return 0.5 * (above + softplus(worse - better.mean()).mean())


def adversarial(
    critic: nn.Module, real: Tensor, made: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """The generator's loss and the critic's.

    Args:
        critic: image critic.
        real: real samples, which the critic must distinguish from `made`.
        made: by the generator.
        penalty: weight of the critic's squared slope at `real`.
    """
    real_score, slope = scored_with_slope(critic, real)
    critical = relativistic(real_score, critic(made.detach())) + penalty * slope
    return relativistic(fixed_score(critic, made), real_score.detach()), critical
