"""What the study asks: each variant, what differs in it, and the claims that its differences test."""

from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE = "full"
"""The variant in which nothing differs."""

UNGATED = "no_gate"
"""The reference of variants that have to do without the gate of the last features."""

UNCONCATENATED = "bridge_alone"
"""The reference of variants in which the picture enters in another way than by the bridge, and in that alone."""

VARIANTS: Mapping[str, str] = {
    REFERENCE: "nothing: the whole method",
    "image_space": "the restored picture diffuses, not the degradation; no gate",
    "no_instruction": "no instruction and no gate; widened",
    "label": "a learnt embedding of each task's name",
    "text": "a frozen embedding of a phrase",
    "blank": "a blank ground",
    "striped": "a striped ground",
    "no_null_subtraction": "tokens of the instruction alone, not less those of the clean ground; no gate",
    "continuous": "features before quantisation",
    "concatenate": "the picture enters by concatenation alone; widened",
    "decoder_concatenate": "features of the picture added in the decoder, not the bridge; widened",
    "decoder": "the picture enters by features added in the decoder alone, of which the encoder sees nothing; widened",
    UNCONCATENATED: "the picture enters by the bridge alone",
    UNGATED: "no gate of the last features",
}
"""The method and its variants in the order of the report, and what differs in them."""

PEERS: Mapping[str, str] = {
    "plain": "our U-Net as plain regression, without instruction",
    "nafnet": "NAFNet (Chen et al., 2022) as plain regression",
    "uformer": "Uformer (Wang et al., 2022) as plain regression",
}
"""Networks beside ours, and what they are."""


@dataclass(frozen=True)
class PaperRow:
    """One row of the paper's Table 5: mean of derain, dehaze and desnow."""

    psnr: float
    ssim: float
    lpips: float


PAPER: Mapping[str, PaperRow] = {
    REFERENCE: PaperRow(33.83, 0.951, 0.025),
    "image_space": PaperRow(31.72, 0.918, 0.086),
    "no_instruction": PaperRow(30.86, 0.903, 0.101),
    "text": PaperRow(32.57, 0.929, 0.041),
    "blank": PaperRow(30.89, 0.903, 0.102),
    "striped": PaperRow(31.64, 0.927, 0.044),
}
"""The variants' rows in Table 5 (Luo, Qin, Chen et al., CVPR 2025)."""


@dataclass(frozen=True)
class Claim:
    """What is claimed of a part of the method, and the two variants that test it.

    Attributes:
        variant: lacks the part.
        statement: what is supported where the variant restores worse than the reference.
        reference: equal to the variant in all but the part.
    """

    variant: str
    statement: str
    reference: str = REFERENCE


CLAIMS = (
    Claim("image_space", "Diffusing the degradation is better than diffusing the picture", UNGATED),
    Claim("no_instruction", "A visual instruction is better than none", UNGATED),
    Claim("label", "A visual instruction is better than a task label"),
    Claim("text", "A visual instruction is better than one in words"),
    Claim("blank", "A ground of four groups of constructs is better than a blank one"),
    Claim("striped", "A ground of four groups of constructs is better than a striped one"),
    Claim("no_null_subtraction", "Subtracting the tokens of the clean ground helps", UNGATED),
    Claim("continuous", "Quantised tokens are better than continuous ones"),
    Claim("concatenate", "The bridge beside concatenation helps"),
    Claim("concatenate", "The bridge alone is better than concatenation alone", UNCONCATENATED),
    Claim("decoder_concatenate", "The bridge is better than features added in the decoder, beside concatenation"),
    Claim("decoder", "The bridge alone is better than features added in the decoder alone", UNCONCATENATED),
    Claim(UNCONCATENATED, "Concatenation beside the bridge helps"),
    Claim(UNGATED, "The gate of the last features helps"),
)
"""In the order of the report."""

SEVERITIES = (0.2, 0.8)
"""The least and the greatest severity that the trainings have (experiments/ablation/base.yaml)."""

COMPOSITES = 2
"""The most degradations that a picture has in the trainings, likewise."""

GENERALISING: Mapping[str, str] = {
    "label": REFERENCE,
    "text": REFERENCE,
    "no_instruction": UNGATED,
}
"""Networks that are measured outside of their training too -> the reference that a visual instruction instructs.

The claim: from the training to the outside, the network loses more than its reference.
"""


def differs(variant: str) -> str:
    """What differs in a variant, in words; empty where nothing is known of it."""
    return VARIANTS.get(variant) or PEERS.get(variant, "")
