"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

WEIGHTS = "small"

Weights = Annotated[str, typer.Option(help="A shipped model by name, a folder, or the id of a model on the hub.")]
Steps = Annotated[int, typer.Option(min=1, help="Sampling steps: one has the best PSNR, more keep more grain.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Json = Annotated[Path | None, typer.Option(help="Write the scores as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]


def check_file(option: str, file: Path | None, *endings: str) -> None:
    """Refuses a folder where a file is to be written, before anything else is done.

    Args:
        option: that gave it.
        file: None where it was not given.
        endings: that its name may have, ".html"; any when none is given.

    Raises:
        ValueError: for a folder, or another ending.
    """
    if file is not None and endings and file.suffix.lower() not in endings:
        raise ValueError(f"{option}: expected a name ending in {' or '.join(endings)}, got {file}")
    if file is not None and file.is_dir():
        raise ValueError(f"{option}: expected the name of a file to write, got the folder {file}")


def check_new(file: Path, overwrite: bool) -> None:
    """Refuses to write what is there already.

    Raises:
        FileExistsError: without `--overwrite`.
    """
    if file.exists() and not overwrite:
        raise FileExistsError(f"{file} is there already; --overwrite replaces it, or give another --out")
