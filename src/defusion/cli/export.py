"""The command `export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich import get_console

from defusion.cli.options import WEIGHTS, Steps, Weights, check_file
from defusion.restore.export import export_onnx
from defusion.restore.restorer import Restorer


def export(
    onnx: Annotated[Path, typer.Option("--onnx", help="The file to write, NAME.onnx.")],
    weights: Weights = WEIGHTS,
    steps: Steps = 1,
) -> None:
    """Write a model as ONNX, of any picture size, checked against PyTorch."""
    check_file("--onnx", onnx, ".onnx")
    difference = export_onnx(Restorer.from_pretrained(weights, "cpu"), onnx, steps)
    get_console().print(
        f"wrote {onnx} and {onnx.with_suffix('.instructions.safetensors')}: in onnxruntime it differs from PyTorch by "
        f"{difference:.1e} at most",
        highlight=False,
    )
