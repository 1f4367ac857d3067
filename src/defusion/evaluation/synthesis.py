"""The degraded pictures of test sets that publish references only, made the way the field makes them."""

from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

from defusion.degradations.compression import Jpeg
from defusion.degradations.noise import Noise
from defusion.degradations.standard import Drawn, drawn
from defusion.evaluation.benchmarks import Synthesis
from defusion.imageio import decode_image, eight_bit, to_tensor, to_uint8
from defusion.instruction import NULL
from defusion.random import generator


def make_input(synthesis: Synthesis, task: str, target: Tensor, number: int, seed: int) -> Tensor:
    """The degraded picture that belongs to a reference, as it would be saved in 8 bits.

    - "awgn": x + sigma/255 N(0, 1), independent for each value, clipped and rounded: the noisy colour pictures
      of CBSD68, Kodak24, McMaster and Urban100 (FFDNet, Zhang et al., TIP 2018), but for their unclipped floats.
    - "jpeg": libjpeg's file at the quality, chroma 4:2:0, as Pillow writes and reads it.
    - "standard": the degradations of the task at the severity, `defusion.degradations.standard`; none of "clean".

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
    elif task == NULL:
        degraded = target
    else:
        degraded = degradation_of(synthesis, task, number, seed).apply(target[None])[0]
    return eight_bit(degraded)


def degradation_of(synthesis: Synthesis, task: str, number: int, seed: int) -> Drawn:
    """The degradation of `make_input`, with its parameters, as the library has it: to be shown on a chart.

    - "awgn": Gaussian noise of that sigma.
    - "jpeg": JPEG of that quality.
    - "standard": the very draw that degrades the picture.

    Args:
        synthesis: kind and level.
        task: as in `make_input`.
        number: as in `make_input`.
        seed: as in `make_input`.
    """
    if synthesis.kind == "awgn":
        return drawn("noise", seed, number, severity=Noise.gaussian().severity(synthesis.level))
    if synthesis.kind == "jpeg":
        return drawn("jpeg", seed, number, severity=Jpeg().severity(synthesis.level))
    return drawn(task, seed, number, severity=synthesis.severity)


def _jpeg(target: Tensor, quality: int) -> Tensor:
    file = BytesIO()
    Image.fromarray(to_uint8(target)).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return to_tensor(decode_image(file.getvalue(), "the compressed picture"))
