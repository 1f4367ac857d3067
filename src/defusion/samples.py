"""Degraded pictures for people to look at: files with their instructions and parameters, and a contact sheet."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import torch
from PIL import Image as Picture
from torch import Tensor

from defusion.degradations.base import Degradation
from defusion.degradations.library import LIBRARY, Compose, parse
from defusion.degradations.standard import standard
from defusion.files import replacing
from defusion.grounds.chart import Chart
from defusion.imageio import write_png
from defusion.random import generator
from defusion.sheets import Cell, contact_sheet

SEVERITIES = (0.25, 0.5, 1.0)
_PICTURE, _CHART = range(2)

Watch: TypeAlias = Callable[[list[Degradation]], Iterable[Degradation]]
"""Hands on what is drawn next."""


def operator_of(spec: str, severity: float | None = None) -> tuple[Compose, Tensor | None]:
    """What "rain+noise" or "rain:0.7+noise:25" does, and the severities of its members, None where they are drawn.

    Raises:
        ValueError: for an unknown degradation, or two kinds of severity.
    """
    if ":" not in spec:
        return parse(spec), None if severity is None else torch.full((1,), severity)
    if severity is not None:
        raise ValueError(f"severity: expected it in {spec!r} or by itself, not both")
    return standard(spec)


def write_degraded(
    hq: Tensor, folder: Path, chart: Chart, spec: str, seed: int = 0, severity: float | None = None
) -> None:
    """Degrades a picture and the canonical chart by one draw.

    Writes `lq.png`, `ground.png`, `instruction.png` and `params.json`.

    Args:
        hq: (3, H, W) in [0, 1].
        folder: made when missing.
        chart: that of the model that is to read it: grain and rain do not survive a reduction.
        spec: "rain" or "rain+noise"; with a number behind any name all have theirs, see `standard`.
        seed: the same seed gives the same files.
        severity: of every member, in [0, 1]; drawn when not given.

    Raises:
        ValueError: for an unknown degradation, or two kinds of severity.
    """
    operator, strength = operator_of(spec, severity)
    params = operator.draw(1, generator(seed), strength)
    ground = chart.canonical()
    write_png(folder / "lq.png", operator.apply(hq[None], params, generator(seed, _PICTURE))[0])
    write_png(folder / "ground.png", ground[0])
    write_png(folder / "instruction.png", operator.apply(ground, params, generator(seed, _CHART))[0])
    values = {key: value[0].tolist() for key, value in params.items() if key != "sequence"}
    with replacing(folder / "params.json") as partial:
        partial.write_text(json.dumps({"degradations": spec, "seed": seed, "params": values}, indent=2) + "\n")


def degradation_sheet(hq: Tensor, seed: int = 0, size: int = 256, watch: Watch = iter) -> Picture.Image:
    """All degradations, a row each, at three severities, on the middle of a picture and on the chart.

    Args:
        hq: (3, H, W) in [0, 1].
        seed: of the draws.
        size: side of a cell in px.
        watch: shows the way through the degradations.
    """
    top, left = (max(0, (length - size) // 2) for length in hq.shape[-2:])
    subjects = {
        "picture": hq[None, :, top : top + size, left : left + size],
        "chart": Chart(size).canonical(),
    }
    rows = []
    for number, operator in enumerate(watch(list(LIBRARY.values()))):
        cells = []
        for subject, (label, x) in enumerate(subjects.items()):
            for severity in SEVERITIES:
                params = operator.draw(1, generator(seed, number), torch.full((1,), severity))
                lq = operator.apply(x, params, generator(seed, number, subject))
                cells.append(Cell(lq[0], f"{operator.name} {severity:g}, {label}"))
        rows.append(cells)
    return contact_sheet(rows, size)
