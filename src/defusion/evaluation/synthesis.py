"""The degraded pictures of test sets that publish references only, made the way the field makes them."""

from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

from defusion.degradations.standard import degrade
from defusion.evaluation.benchmarks import Synthesis
from defusion.imageio import decode_image, to_tensor, to_uint8
from defusion.random import generator


def make_input(synthesis: Synthesis, task: str, target: Tensor, number: int, seed: int) -> Tensor:
    """The degraded picture that belongs to a reference, as it would be saved in 8 bits.

    - "awgn": x + sigma/255 N(0, 1), independent for each value, clipped and rounded: the noisy colour pictures
      of CBSD68, Kodak24, McMaster and Urban100 (FFDNet, Zhang et al., TIP 2018), but for their unclipped floats.
    - "jpeg": libjpeg's file at the quality, chroma 4:2:0, as Pillow writes and reads it.
    - "standard": the degradations of the task at the severity, `defusion.degradations.standard`.

    Args:
        synthesis: kind and level.
        task: the degradations by name, for "standard".
        target: the reference, (3, H, W) in [0, 1], on the CPU.
        number: of the picture in its test set; what is random depends on (seed, number) alone.
        seed: of the evaluation.

    Returns:
        (3, H, W) in [0, 1], multiples of 1/255.
    """
    if synthesis.kind == "jpeg":
        return _jpeg(target, round(synthesis.level))
    if synthesis.kind == "awgn":
        noise = torch.randn(target.shape, generator=generator(seed, number))
        degraded = target + synthesis.level / 255 * noise
    else:
        degraded = degrade(target[None], task, seed, number, severity=synthesis.severity)[0]
    return to_tensor(to_uint8(degraded))


def _jpeg(target: Tensor, quality: int) -> Tensor:
    file = BytesIO()
    Image.fromarray(to_uint8(target)).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return to_tensor(decode_image(file.getvalue(), "the compressed picture"))
