"""What a describer says of a picture: an instruction, with how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from defusion.degradations.library import UNSHARP
from defusion.instruction import NULL, VisualInstruction


@dataclass(frozen=True, kw_only=True)
class Description(VisualInstruction):
    """An instruction in the tokenizer's own vocabulary; its `picture` is the chart that the codes decode to.

    Attributes:
        codes: indices into the tokenizer's codebook, (1, N), row by row; those of the clean chart where nothing is
            wrong.
        confidences: degradation -> probability that the picture has it, in [0, 1], all of them. Of losses of sharpness
            the likeliest is shown if it is likelier than none of them, be it less likely than not.
        severities: degradation -> how strong it is if it is there, in [0, 1].
    """

    codes: Tensor
    confidences: Mapping[str, float]
    severities: Mapping[str, float]

    @property
    def surest(self) -> str:
        """The degradation that the picture has most probably; "clean" where none is there."""
        return max(self._found, key=self.confidences.__getitem__, default=NULL)

    @property
    def words(self) -> str:
        """In words: "rain (severity 0.6, 98% sure) + noise (severity 0.3, 91% sure)"; "clean (97% sure)"."""
        if not self._found:
            unsharp = sum(self.confidences[name] for name in UNSHARP)
            return f"{self.shown} ({1 - min(1, max(unsharp, *self.confidences.values())):.0%} sure)"
        return " + ".join(
            f"{name} (severity {self.severities[name]:.1f}, {self.confidences[name]:.0%} sure)" for name in self._found
        )

    @property
    def _found(self) -> list[str]:
        return [name for name in self.shown.split("+") if name in self.confidences]
