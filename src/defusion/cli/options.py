"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

WEIGHTS = "small"

Weights = Annotated[str, typer.Option(help="A shipped model by name, or a folder of trained weights.")]
Steps = Annotated[int, typer.Option(min=1, help="Sampling steps: more look sharper, one has the best PSNR.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]
