"""Pairs of known parameters, made from scikit-image's photographs, and what is fitted to them."""

from dataclasses import dataclass
from functools import cache

import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.standard import standard
from defusion.oracle import Fitted, fit
from defusion.random import generator
from defusion.types import Image, Params

SIZE = 224
MATCHED = {"rain": 128, "snow": 128, "raindrop": 160, "low_light+haze": 96, "rain+noise": 96}
"""What is matched by many draws is measured on smaller pictures."""


def photo(name: str, size: int = SIZE) -> Tensor:
    """A part of a photograph, (3, size, size)."""
    picture = torch.from_numpy(getattr(skimage.data, name)()).permute(2, 0, 1).float() / 255
    return picture[:, 20 : 20 + size, 120 : 120 + size]


def eight_bit(picture: Tensor) -> Tensor:
    """As a file holds it."""
    return (picture.clamp(0, 1) * 255).round() / 255


@dataclass(frozen=True)
class Example:
    """A pair of known parameters."""

    task: str
    hq: Tensor
    lq: Tensor
    params: Params
    fitted: Fitted

    def truth(self, x: Image, seed: int) -> Image:
        """Pictures under the degradation that made the pair."""
        return Fitted(self.task, standard(self.task)[0], self.params).apply(x, generator(seed))

    def true(self, name: str) -> Tensor:
        """A parameter that made the pair."""
        return self.params[f"{self.task}.{name}"][0]

    def found(self, name: str) -> Tensor:
        """The parameter that was fitted."""
        params = self.fitted.params
        return (params[name] if name in params else params[f"{self.task}.{name}"])[0]


@cache
def example(task: str, severity: float, name: str) -> Example:
    """A photograph under a degradation of the library, saved in 8 bits; fitted once for all tests."""
    operator, _ = standard(task)
    hq, key = photo(name, MATCHED.get(task, SIZE)), round(100 * severity)
    params = operator.draw(1, generator(1, key), torch.full((1, len(operator.members)), severity))
    lq = eight_bit(operator.apply(hq[None], params, generator(2, key))[0])
    return Example(task, hq, lq, params, fit(task, lq, hq))


def cells(picture: Image) -> Tensor:
    """Mean, contrast and fine detail in each of 4x4 cells: (n, 9, 4, 4)."""
    mean, square = (F.adaptive_avg_pool2d(value, 4) for value in (picture, picture**2))
    smooth = F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)
    detail = F.adaptive_avg_pool2d((picture - smooth).abs(), 4)
    return torch.cat([mean, (square - mean**2).clamp(min=0).sqrt(), detail], dim=1)


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, of all values."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
