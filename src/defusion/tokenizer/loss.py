"""The terms of the tokenizer's loss: LPIPS, local contrast, hinge adversarial (paper, Eqs. 2-4)."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import lpips
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from defusion.distributed import averaged
from defusion.types import Image

_FAINTEST_ENERGY = 1e-4
"""Details of 0.01, 2.5 grey levels of 255, and less count as none."""


@dataclass(frozen=True)
class PerceptualConfig:
    """The LPIPS term.

    Attributes:
        network: backbone, "vgg" (VGG-16, LPIPS's choice for optimisation) or "alex" (AlexNet, lighter).
        weights: a .safetensors or .pth file of the torchvision backbone; when not given, torchvision's
            cache or download.
        weight: lambda of the loss.
    """

    network: Literal["vgg", "alex"] = "vgg"
    weights: str | None = None
    weight: float = 1.0


class PerceptualLoss(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018) with the heads and backbones of the `lpips` package, frozen."""

    def __init__(self, config: PerceptualConfig) -> None:
        """Loads the backbone.

        Raises:
            FileNotFoundError, ValueError: if the file of weights is missing or does not fit.
            RuntimeError: if no file is given and torchvision cannot get the weights.
        """
        super().__init__()
        network = _empty_lpips(config.network)
        heads_file = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{config.network}.pth"
        state = torch.load(heads_file, map_location="cpu", weights_only=True)
        backbone = _backbone(config)
        names = [name for name in network.state_dict() if name.startswith("net.")]
        for name in names:  # net.slice2.3.weight is features.3.weight
            key = f"features.{name.split('.', 2)[2]}"
            if key not in backbone:
                raise ValueError(
                    f"perceptual.weights: {config.weights} has no {key!r}; expected the state of "
                    f"torchvision's {_TORCHVISION[config.network][0]} (perceptual.network: {config.network})"
                )
            state[name] = backbone[key].float()
        try:
            network.load_state_dict(state, strict=False, assign=True)
        except RuntimeError as error:
            raise ValueError(f"perceptual.weights: {config.weights} does not fit: {error}") from error
        self.scale, self.backbone = network.scaling_layer, network.net
        self.heads = nn.ModuleList(head.model[-1] for head in network.lins)  # without their dropout
        self.requires_grad_(False).train()  # no layer of it has an evaluation mode of its own

    def forward(self, x: Image, y: Image) -> Tensor:
        """The mean LPIPS distance of a batch of pictures in [0, 1], a scalar.

        Features are normalised by `F.normalize`, whose gradient is finite also where all are zero.
        """
        distance = x.new_zeros(())
        features_x, features_y = (self.backbone(self.scale(picture * 2 - 1)) for picture in (x, y))
        for feature_x, feature_y, head in zip(features_x, features_y, self.heads, strict=True):
            feature_x, feature_y = (F.normalize(f.float(), dim=1, eps=1e-10) for f in (feature_x, feature_y))
            distance = distance + head((feature_x - feature_y).square()).mean()
        return distance


_TORCHVISION: dict[str, tuple[str, Any]] = {
    "vgg": ("VGG-16", models.VGG16_Weights.IMAGENET1K_V1),
    "alex": ("AlexNet", models.AlexNet_Weights.IMAGENET1K_V1),
}


def _empty_lpips(network: str) -> lpips.LPIPS:
    """The LPIPS network with its constants alone: no random weights are drawn."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips 0.1.4 uses torchvision's old arguments
        return lpips.LPIPS(net=network, pnet_rand=True, pretrained=False, verbose=False)


def _backbone(config: PerceptualConfig) -> dict[str, Tensor]:
    """The state of the torchvision backbone, from the given file or torchvision."""
    if config.weights is None:
        name, weights = _TORCHVISION[config.network]
        try:
            downloaded: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"perceptual: the {name} weights are neither in torchvision's cache nor could they be "
                f"downloaded from {weights.url} ({error}); give a file with perceptual.weights, or train "
                "without LPIPS by perceptual: null"
            ) from error
        return downloaded
    file = Path(config.weights)
    if not file.is_file():
        raise FileNotFoundError(
            f"perceptual.weights: no file {file}; expected a .safetensors or .pth file of a torchvision "
            "backbone; leave it out to download one, or train without LPIPS by perceptual: null"
        )
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, OSError, EOFError) as error:
        raise ValueError(f"perceptual.weights: {file} cannot be read: {error}") from error
    return state


def contrast_loss(x: Image, y: Image, patch: int = 8) -> Tensor:
    """How far the local contrast of fine structure differs, in nats: a scalar. Ours, not the paper's.

    Noise, compression and mild blur hardly change the mean squared error of a reconstruction, which
    is smoother anyway, so under MSE alone the tokens need not tell them. Their mark is the energy of
    the finest details, compared here at two octaves over patches of `patch` pixels by its logarithm;
    where those details lie is left open.

    Args:
        x: (B, 3, H, W), sides divisible by `patch`.
        y: the same.
        patch: side of the square over which the energy is averaged, in pixels.
    """
    loss = x.new_zeros((), dtype=torch.float32)
    for octave in (1, 2):
        first, second = (_log_energy(picture, patch // octave) for picture in (x, y))
        loss = loss + 0.5 * F.l1_loss(first, second)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return loss


def _log_energy(picture: Image, patch: int) -> Tensor:
    """log of the mean square of what a 3x3 mean leaves over, per patch and colour."""
    picture = picture.float()
    details = picture - F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (F.avg_pool2d(details.square(), patch) + _FAINTEST_ENERGY).log()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of relu(1 - real) and relu(1 + fake), halved: logits of any shape -> a scalar."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """-mean(fake): logits of any shape -> a scalar."""
    return -fake.mean()


def adaptive_weight(reconstruction_loss: Tensor, adversarial_loss: Tensor, last_layer: nn.Parameter) -> Tensor:
    """The weight at which both losses pull equally at the decoder's last layer (VQGAN, Eq. 7).

    Returns:
        ||grad reconstruction|| / (||grad adversarial|| + 1e-4), at most 1e4, without gradient; of the batches of all
        processes.
    """
    losses = (reconstruction_loss, adversarial_loss)
    gradients = (torch.autograd.grad(loss, last_layer, retain_graph=True)[0] for loss in losses)
    reconstruction, adversarial = map(averaged, gradients)
    return (reconstruction.norm() / (adversarial.norm() + 1e-4)).clamp(max=1e4).detach()
