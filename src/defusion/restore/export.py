"""ONNX files of a model, for runtimes without PyTorch."""

import json
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from defusion.degradations.library import NAMES
from defusion.diffusion.model import Defusion
from defusion.diffusion.sampler import ddim_step
from defusion.files import replacing
from defusion.instruction import NULL
from defusion.random import generator
from defusion.restore.restorer import Restorer
from defusion.unet.unet import UNetConfig

TOLERANCE = 1e-3
"""Largest difference between PyTorch and the runtime that passes, in units of [0, 1]."""

_EXAMPLE = (96, 64)
_CHECKED = ((64, 64), (104, 152))


class ExportError(ValueError):
    """A model that cannot be exported, or a file that does not compute what the model does."""


class Sampled(nn.Module):
    """The whole restoration as one function of tensors, its steps of DDIM written out.

    Args:
        model: the network.
        steps: network evaluations.
    """

    def __init__(self, model: Defusion, steps: int) -> None:
        super().__init__()
        self.model = model
        self.steps = steps
        self.needs_noise = steps > 1 or model.config.process.needs_noise
        self.times: Tensor
        self.register_buffer("times", torch.linspace(1, 0, steps + 1), persistent=False)

    def forward(self, lq: Tensor, tokens: Tensor, noise: Tensor | None = None) -> Tensor:
        """lq (B, 3, H, W) in [0, 1], tokens (B, N, C), noise like lq where it is needed -> restored, like lq."""
        model, process = self.model, self.model.config.process
        y = torch.zeros_like(lq) if noise is None else noise
        features = model.unet.features(2 * lq - 1)
        y0 = y
        for number in range(self.steps):
            t, s = self.times[number], self.times[number + 1]
            y0 = process.to_y0(model(y, t.expand(lq.shape[0]), lq, tokens, features), y, t.expand(lq.shape[0]))
            if number + 1 < self.steps:
                y = ddim_step(y, y0, t, s, process.path)
        return (lq - model.removed(lq, y0)).clamp(0, 1)


def export_onnx(restorer: Restorer, path: Path | str, steps: int = 1) -> float:
    """Writes a model as ONNX beside the tokens of all named instructions, and checks it in onnxruntime.

    The file takes "lq" (B, 3, H, W) in [0, 1], H and W of any multiple of the network's stride, "tokens" (B, N, C),
    and, unless a single step needs none, "noise", standard normal, the shape of lq; it gives "restored". Tokens of the
    degradations by name are in `<name>.instructions.safetensors`; for composites and other instructions take
    `Restorer.tokens`. Steps, stride and whether noise is needed are in the file's metadata, too.

    Args:
        restorer: the model.
        path: ends in ".onnx".
        steps: of DDIM, at least 1.

    Returns:
        The largest difference to PyTorch on pictures of two sizes, at most `TOLERANCE`.

    Raises:
        ExportError: without the packages of `defusion[export]`; for a model without tokens; or for a larger difference.
        ValueError: for another suffix.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"path: expected a name ending in .onnx, got {path}")
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    if restorer.model.config.instruction == "none":
        raise ExportError("model: expected one with instructions, got one without")
    if not isinstance(restorer.model.config.unet, UNetConfig):
        raise ExportError("model: expected a U-Net of our own, got a pretrained one, which diffusers' tools export")
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise ExportError(f"the export needs {error.name}: pip install 'defusion[export]'") from error
    if restorer.device.type != "cpu":
        restorer = Restorer(deepcopy(restorer.model), "cpu")
    sampled = Sampled(restorer.model, steps).eval()
    program = _program(sampled, restorer.model.config.unet.stride, _inputs(restorer, sampled, _EXAMPLE))
    about = {"steps": steps, "stride": restorer.model.config.unet.stride, "noise": sampled.needs_noise}
    onnx.helper.set_model_props(program, {key: json.dumps(value) for key, value in about.items()})
    with replacing(path) as partial:
        onnx.save(program, str(partial))
        differences = [_difference(partial, sampled, _inputs(restorer, sampled, size)) for size in _CHECKED]
        if not all(own <= TOLERANCE for own in differences):  # which is true of NaN, too
            raise ExportError(
                f"{path}: not written: differs from PyTorch by {max(differences):.2g} or NaN, more "
                f"than {TOLERANCE:g}: this network cannot be exported"
            )
    with replacing(path.with_suffix(".instructions.safetensors")) as partial:
        save_file({name: _tokens(restorer, name) for name in (NULL, *NAMES)}, partial)
    return max(differences)


def _tokens(restorer: Restorer, name: str) -> Tensor:
    tokens = restorer.tokens(restorer.instruction(name))
    assert tokens is not None, "a model with instructions has tokens"
    return tokens.float().cpu().contiguous()


def _inputs(restorer: Restorer, sampled: Sampled, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """A picture of a size, tokens, and noise where it is needed."""
    draw = generator(0, *size)
    lq = torch.rand((2, 3, *size), generator=draw)
    tokens = torch.cat([_tokens(restorer, name) for name in ("noise", "haze")])
    return (lq, tokens, torch.randn(lq.shape, generator=draw)) if sampled.needs_noise else (lq, tokens)


def _program(sampled: Sampled, stride: int, inputs: tuple[Tensor, ...]) -> Any:
    """The ONNX model, all but its channels and tokens of any size."""
    batch = torch.export.Dim("batch", min=1)
    height, width = (stride * torch.export.Dim(name, min=2) for name in ("rows", "columns"))
    picture = {0: batch, 2: height, 3: width}
    shapes = (picture, {0: batch}, picture)[: len(inputs)]
    names = ["lq", "tokens", "noise"][: len(inputs)]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter on its own doings
        program = torch.onnx.export(
            sampled,
            inputs,
            input_names=names,
            output_names=["restored"],
            dynamic_shapes=shapes,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _difference(file: Path, sampled: Sampled, inputs: tuple[Tensor, ...]) -> float:
    """Between the runtime and PyTorch, both in single precision."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [own.name for own in session.get_inputs()]
    (found,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    with torch.inference_mode():
        expected = sampled(*inputs).numpy()
    return float(np.abs(found - expected).max())
