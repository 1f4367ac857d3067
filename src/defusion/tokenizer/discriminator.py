"""The patch discriminator of VQGAN (Isola et al. 2017, PatchGAN; Esser et al. 2021)."""

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches: (B, 3, H, W) in [0, 1] -> logits (B, 1, h, w), positive for real.

    Strided 4x4 convolutions with batch norm and leaky ReLU. Three layers see 70x70 pixels, two
    34x34.
    """

    def __init__(self, channels: int = 64, layers: int = 3) -> None:
        """Makes an untrained discriminator.

        Args:
            channels: of the first layer; doubled at each further one, up to eightfold.
            layers: convolutions of stride 2.
        """
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        widths = [channels * min(2**layer, 8) for layer in range(layers + 1)]
        stages: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, layers + 1):
            stride = 2 if layer < layers else 1
            stages += [
                nn.Conv2d(widths[layer - 1], widths[layer], 4, stride, padding=1, bias=False),
                nn.BatchNorm2d(widths[layer]),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*stages, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.apply(_initialise)

    def forward(self, picture: Tensor) -> Tensor:
        logits: Tensor = self.layers(picture * 2 - 1)
        return logits


def _initialise(module: nn.Module) -> None:
    """The DCGAN initialisation that VQGAN uses."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
