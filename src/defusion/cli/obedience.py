"""The command `obedience`."""

from typing import Annotated

import typer
from rich import get_console

from data_modules.clean import open_clean
from defusion.cli.options import WEIGHTS, Json, Seed, Steps, Weights, check_file
from defusion.evaluation.obedience import measure
from defusion.evaluation.report import write_json
from defusion.pretrained import find
from defusion.restore.restorer import Restorer
from defusion.weights import checksum


def obedience(
    weights: Weights = WEIGHTS,
    data: Annotated[str | None, typer.Option(help="Clean photographs; else the held-out embedded ones.")] = None,
    steps: Steps = 1,
    seed: Seed = 0,
    size: Annotated[int, typer.Option(min=32, help="Side in pixels of the middle of each photograph.")] = 256,
    json: Json = None,
) -> None:
    """Measure whether the model does what it is shown, and nothing more."""
    check_file("--json", json)
    photographs = open_clean(data or None)
    restorer = Restorer.from_pretrained(weights)
    found = measure(restorer, photographs, size, steps, seed)
    console = get_console()
    console.print(found.table(f"{len(photographs)} photographs, {steps} step(s)"))
    console.print("null, mismatched: RMS of the change, relative to that by the right instruction; clean: PSNR")
    console.print(
        f"parts: {found.partial:.1%} of {len(found.cases)} composites of two came out nearer to themselves without the "
        "member that was shown than to the input and to the clean picture"
    )
    if json is not None:
        used = {"weights": {"path": weights, "sha256": checksum(find(weights))}, "layout": photographs.layout}
        asked = {"num_images": len(photographs), "steps": steps, "seed": seed, "size": size}
        write_json(json, found.as_json() | used | asked)
        console.print(f"wrote {json}")
