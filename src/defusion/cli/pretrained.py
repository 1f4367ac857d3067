"""The command `pretrain`: the shipped model anew, part by part."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml
from rich import get_console

if TYPE_CHECKING:
    from defusion.study.plan import Training

SECONDS_A_STEP: Mapping[str, float] = {
    "tokenizer": 0.45,
    "first": 0.35,
    "middle": 0.7,
    "finish": 1.1,
    "describer": 0.25,
    "describer_finish": 0.3,
    "describer_pictures": 0.45,
}
"""Part of the training -> what is expected on two CPU cores; of it the time left is made."""

OUT = Path("runs/pretrained/weights")
"""Not the shipped weights: these have figures of their own in their card."""

_DESCRIBER = ("describer/small", "describer/small_finish", "describer/small_pictures")
_DIFFUSION = ("diffusion/small", "diffusion/small_middle", "diffusion/small_finish")


def pretrain(
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="The folder of the weights.")] = OUT,
    data: Annotated[str | None, typer.Option(help="Photographs; the embedded ones when not given.")] = None,
    lpips: Annotated[Path | None, typer.Option(help="Torchvision's AlexNet weights, else downloaded.")] = None,
    runs: Annotated[Path, typer.Option(file_okay=False, help="The folder of the trainings.")] = Path("runs/pretrained"),
) -> None:
    """Train the shipped model anew: tokenizer, diffusion in three parts, describer in three; goes on where it was."""
    try:
        from defusion.study.progress import Job, carry_out
        from defusion.study.training import check, state_of, train
    except ModuleNotFoundError as error:
        raise ValueError(f"it needs {error.name}: pip install 'defusion[study]'") from error
    from defusion.describer.network import Describer
    from defusion.diffusion.model import Defusion

    planned = parts(data, lpips, Path("experiments"), runs)
    check(planned.values())
    left = [
        Job(name, own.steps * SECONDS_A_STEP[name], lambda _, own=own: train(own))  # type: ignore[misc]
        for name, own in planned.items()
        if state_of(own) != "trained"
    ]
    carry_out(left, len(planned) - len(left))
    model = Defusion.load(planned["finish"].weights)
    model.save(out)
    Describer.load(planned["describer_pictures"].weights, model.tokenizer).save(out / "describer")
    get_console().print(f"wrote {out}", highlight=False, markup=False)
    if (out / "README.md").exists():
        line = f"{out / 'README.md'} speaks of the weights before: measure these and write it anew"
        get_console().print(line, highlight=False, markup=False)


def parts(data: str | None, lpips: Path | None, experiments: Path, runs: Path) -> "dict[str, Training]":
    """The trainings of the shipped model by name, in their order.

    Raises:
        ValueError: outside of the repository.
    """
    from defusion.study.plan import Training, source

    if not (experiments / "base.yaml").is_file():
        raise ValueError(f"expected the folder {experiments} of the repository: run this there")

    def part(
        name: str,
        files: list[str],
        values: Mapping[str, str],
        tokenizer: Training | None = None,
        start: Training | None = None,
    ) -> Training:
        paths = (experiments / "base.yaml", *(experiments / f"{file}.yaml" for file in files))
        steps = yaml.safe_load(paths[-1].read_text(encoding="utf-8"))["trainer"]["max_steps"]
        return Training(f"{name} of small", runs / name, paths, steps, source(data) | dict(values), tokenizer, start)

    weights = {"model.init_args.perceptual.weights": str(lpips.resolve())} if lpips else {}
    tokenizer = part("tokenizer", ["tokenizer/small"], weights)
    first = part("first", [_DIFFUSION[0]], {}, tokenizer)
    middle = part("middle", [*_DIFFUSION[:2]], {}, tokenizer, first)
    finish = part("finish", [_DIFFUSION[0], _DIFFUSION[2]], {}, tokenizer, middle)
    crops = part("describer", [_DESCRIBER[0]], {}, tokenizer)
    larger = part("describer_finish", [*_DESCRIBER[:2]], {}, tokenizer, crops)
    pictures = part("describer_pictures", [_DESCRIBER[0], _DESCRIBER[2]], {}, tokenizer, larger)
    trained = (tokenizer, first, middle, finish, crops, larger, pictures)
    return dict(zip(SECONDS_A_STEP, trained, strict=True))
