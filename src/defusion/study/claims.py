"""What the study asks: each variant, what differs in it, and the claim that its difference tests."""

from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE = "full"
"""The variant in which nothing differs."""

UNGATED = "no_gate"
"""The reference of variants that have to do without the gate of the last features."""


@dataclass(frozen=True)
class PaperRow:
    """One row of the paper's Table 5: mean of derain, dehaze and desnow."""

    psnr: float
    ssim: float
    lpips: float


@dataclass(frozen=True)
class Claim:
    """A variant that lacks one part of the method, and what is claimed of that part.

    Attributes:
        variant: its name.
        differs: in it from the reference, in words.
        statement: what is supported where the variant restores worse than the reference.
        reference: what it is compared with, equal in all but what it lacks.
        paper: the variant's row in the paper's Table 5; None where it has none.
    """

    variant: str
    differs: str
    statement: str
    reference: str = REFERENCE
    paper: PaperRow | None = None


PAPER_FULL = PaperRow(33.83, 0.951, 0.025)
"""The whole method in Table 5 (Luo, Qin, Chen et al., CVPR 2025), as are the rows below."""

CLAIMS = (
    Claim(
        "image_space",
        "the restored picture diffuses, not the degradation; no gate",
        "Diffusing the degradation is better than diffusing the picture",
        UNGATED,
        PaperRow(31.72, 0.918, 0.086),
    ),
    Claim(
        "no_instruction",
        "no instruction",
        "A visual instruction is better than none",
        paper=PaperRow(30.86, 0.903, 0.101),
    ),
    Claim("label", "a learnt embedding of each task's name", "A visual instruction is better than a task label"),
    Claim(
        "text",
        "a frozen embedding of a phrase",
        "A visual instruction is better than one in words",
        paper=PaperRow(32.57, 0.929, 0.041),
    ),
    Claim(
        "blank",
        "a blank ground",
        "A ground of four groups of constructs is better than a blank one",
        paper=PaperRow(30.89, 0.903, 0.102),
    ),
    Claim(
        "striped",
        "a striped ground",
        "A ground of four groups of constructs is better than a striped one",
        paper=PaperRow(31.64, 0.927, 0.044),
    ),
    Claim(
        "no_null_subtraction",
        "tokens of the instruction alone, not less those of the clean ground; no gate",
        "Subtracting the tokens of the clean ground helps",
        UNGATED,
    ),
    Claim("continuous", "features before quantisation", "Quantised tokens are better than continuous ones"),
    Claim("concatenate", "the picture enters by concatenation alone", "The bridge beside concatenation helps"),
    Claim(
        "decoder",
        "the bridge is added in the decoder alone",
        "The bridge by AdaLN-Zero in every block is better than in the decoder alone",
    ),
    Claim("bridge_alone", "the picture enters by the bridge alone", "Concatenation beside the bridge helps"),
    Claim(UNGATED, "no gate of the last features", "The gate of the last features helps"),
)
"""In the order of the report."""

PEERS: Mapping[str, str] = {
    "plain": "our U-Net as plain regression, without instruction",
    "nafnet": "NAFNet (Chen et al., 2022) as plain regression",
    "uformer": "Uformer (Wang et al., 2022) as plain regression",
}
"""Networks beside ours, and what they are."""


def differs(variant: str) -> str:
    """What differs in a variant, in words; empty where nothing is known of it."""
    own = next((claim.differs for claim in CLAIMS if claim.variant == variant), "")
    return own or PEERS.get(variant, "nothing: the whole method" if variant == REFERENCE else "")
