"""The vocabulary of the whole code: shapes, ranges, and the batch that every model sees.

Shape legend: B batch, H W picture height and width, Hv Wv ground height and width,
N tokens of one ground, C channels. Pictures are sRGB, RGB order, float in [0, 1].
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

from torch import Tensor

Image: TypeAlias = Tensor
"""A batch of pictures, (B, 3, H, W), float32 in [0, 1], sRGB."""

Tokens: TypeAlias = Tensor
"""Token embeddings of a ground, (B, N, C)."""

Params: TypeAlias = dict[str, Tensor]
"""The drawn parameters of a degradation: name -> (B, ...), one row a sample, on the CPU."""


GroundKind: TypeAlias = Literal["te42", "blank", "striped"]
"""What is on a ground: the four constructs of the method, or one of the plain ones of the paper's ablation."""


class Mode(IntEnum):
    """What a sample's instruction shows of the degradations in its lq (paper, section 3)."""

    MATCHED = 0
    """All of them, with the same parameters; target = hq."""
    TYPE_MATCHED = 1
    """All of them, with other parameters: a user knows the kind, rarely the strength; target = hq."""
    PARTIAL = 2
    """Some members of a composite; the others stay in the target."""
    NULL = 3
    """None: the clean ground; target = lq."""
    MISMATCHED = 4
    """Degradations that lq does not have; target = lq."""


@dataclass(frozen=True)
class Batch:
    """Paired pictures and the visual instruction that says what to remove."""

    hq: Image
    lq: Image
    target: Image
    """lq with exactly the shown degradations removed, T_v(lq) (paper, Eq. 9)."""
    ground: Image
    """The clean chart, (B, 3, Hv, Wv)."""
    instruction: Image
    """The same chart, degraded, (B, 3, Hv, Wv)."""
    task: tuple[str, ...]
    """The degradations of lq by name, joined by "+": "rain", "rain+noise"."""
    shown: tuple[str, ...]
    """The degradations that the instruction shows; "clean" for the null instruction."""
    mode: tuple[Mode, ...]
    severities: Tensor | None = None
    """Of each degradation in lq, (B, 11) in the order of the library, 0 where it is not; None where it is not known."""
