"""Residual-in-residual dense blocks (Wang et al. 2018, ESRGAN), as Sweere et al. (2022) use them.

Shapes: B batch, F filters, H and W rows and columns.
"""

import torch
from torch import Tensor, nn

RESIDUAL, SLOPE = 0.2, 0.2  # weight of a block's own part; LeakyReLU's below zero
CONVOLUTIONS, DENSE_BLOCKS = 5, 3  # of a dense block; of an RRDB


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class DenseBlock(nn.Module):
    """Convolutions that each see what all before them found."""

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        outputs = [growth] * (CONVOLUTIONS - 1) + [filters]
        self.convolutions = nn.ModuleList(
            _convolution(filters + i * growth, n) for i, n in enumerate(outputs)
        )

    def forward(self, image_BFHW: Tensor) -> Tensor:
        """The block's input with its own part added."""
        features = image_BFHW
        for convolution in list(self.convolutions)[:-1]:
            found = nn.functional.leaky_relu(convolution(features), SLOPE, inplace=True)
            features = torch.cat([features, found], 1)
        return torch.add(image_BFHW, self.convolutions[-1](features), alpha=RESIDUAL)


class ResidualDenseBlocks(nn.Sequential):
    """One RRDB."""

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__(*(DenseBlock(filters, growth) for _ in range(DENSE_BLOCKS)))

    def forward(self, image_BFHW: Tensor) -> Tensor:
        """The RRDB's input with its own part added."""
        features = image_BFHW
        for block in self:
            features = block(features)
        return torch.add(image_BFHW, features, alpha=RESIDUAL)


class Generator(nn.Module):
    """Images to images of the same size, or of twice the rows and columns.

    Attributes:
        receptive_field: how far from an input pixel the output at its place depends on others.
    """

    def __init__(
        self, inputs: int, outputs: int, blocks: int, filters: int, growth: int, scale: int
    ) -> None:
        """Build.

        Args:
            inputs: input channels.
            outputs: output channels.
            blocks: RRDBs.
            filters: channels between blocks.
            growth: channels that each convolution of a dense block adds.
            scale: 1 or 2.
        """
        super().__init__()
        assert scale in (1, 2), scale
        self.first = _convolution(inputs, filters)
        self.blocks = nn.Sequential(*(ResidualDenseBlocks(filters, growth) for _ in range(blocks)))
        self.trunk = _convolution(filters, filters)
        self.last = _convolution(filters, outputs)
        self.larger = nn.Sequential()
        if scale == 2:
            self.larger = nn.Sequential(
                _convolution(filters, filters * scale**2),
                nn.LeakyReLU(SLOPE, inplace=True),
                nn.PixelShuffle(scale),
                _convolution(filters, filters),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
        # The two convolutions of doubled images reach one input pixel together.
        self.receptive_field = 2 + CONVOLUTIONS * DENSE_BLOCKS * blocks + scale

    def forward(self, image_BFHW: Tensor) -> Tensor:
        """Output channels (B, outputs, H, W), or twice the rows and columns."""
        first = self.first(image_BFHW)
        output: Tensor = self.last(self.larger(first + self.trunk(self.blocks(first))))
        return output
