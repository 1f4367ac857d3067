"""The degradations as text, for the ablation of the instruction: frozen sentence embeddings of short requests.

The embeddings are those of all-MiniLM-L6-v2 (Reimers & Gurevych, 2019; Apache-2.0), mean over the words, unit
length. They are kept beside this file, so that nobody needs the encoder; `python -m defusion.diffusion.phrases`
makes them again where `transformers` is installed and the encoder is at hand or on the hub.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from defusion.degradations.library import NAMES
from defusion.files import replacing

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
PHRASES: dict[str, str] = {
    "low_light": "brighten this photograph taken in low light",
    "rain": "remove the rain streaks from this photograph",
    "snow": "remove the falling snow from this photograph",
    "haze": "remove the haze and fog from this photograph",
    "underwater": "correct the colours of this photograph taken under water",
    "raindrop": "remove the raindrops on the glass in front of this photograph",
    "defocus_blur": "sharpen this photograph that is out of focus",
    "motion_blur": "remove the motion blur of the shaken camera from this photograph",
    "downsample": "restore the resolution of this small, pixelated photograph",
    "noise": "remove the noise and grain from this photograph",
    "jpeg": "remove the compression artefacts from this JPEG photograph",
}
"""One request a degradation."""
_FILE = Path(__file__).with_name("phrases.safetensors")


def embeddings() -> Tensor:
    """The embedding of each phrase in the order of `NAMES`, (11, 384), float32."""
    return load_file(_FILE)["embeddings"].float()


def embed(encoder: str = ENCODER) -> Tensor:
    """Computes what `embeddings` reads; needs `transformers`.

    Args:
        encoder: its name on the hub, or a folder.
    """
    from transformers import AutoModel, AutoTokenizer

    words = AutoTokenizer.from_pretrained(encoder)([PHRASES[name] for name in NAMES], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(encoder).eval()(**words).last_hidden_state
    there = words["attention_mask"][..., None].float()
    return torch.nn.functional.normalize((hidden * there).sum(1) / there.sum(1), dim=1)


if __name__ == "__main__":
    with replacing(_FILE) as partial:
        save_file({"embeddings": embed().half()}, partial)
