"""The page: a picture, what is to be removed from it, shown on a chart, and the restoration beside it."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeAlias

import numpy as np

from defusion.degradations.library import NAMES
from defusion.degradations.standard import MID_SEVERITY
from defusion.describer.description import Description
from defusion.imageio import Picture, to_uint8
from defusion.instruction import NULL, VisualInstruction
from defusion.restore.batch import out_of_memory
from defusion.restore.pictures import as_batch
from defusion.restore.restorer import Restorer
from defusion.restore.stored import FORMATS, read_stored, write_stored
from defusion.restore.tiling import Group
from defusion.types import Image

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # the page calls nobody
import gradio as gr

STEPS = (1, 2, 4)

Report: TypeAlias = Callable[[float], object]
"""Is told what share of the work is done."""

_CHART_SIDE = 256
_RESULT = "result-"
_CSS = "footer {display: none !important} .chart img {image-rendering: pixelated}"


class Page:
    """What the page does, apart from how it looks.

    Args:
        restorer: the model.
        folder: where the last result is written, to be downloaded.
    """

    def __init__(self, restorer: Restorer, folder: Path) -> None:
        self.restorer = restorer
        self.folder = folder

    def charts(self, names: Sequence[str], severities: Sequence[float]) -> tuple[Picture, Picture]:
        """The chart and its degraded twin, enlarged to be seen; see `spec`."""
        shown = self.restorer.instruction(spec(names, severities))
        return _enlarged(shown.ground), _enlarged(shown.picture)

    def describe(self, file: str | None) -> tuple[Description, list[str], list[float]]:
        """What the model takes for wrong with a picture, with the names and the severity of each degradation.

        Raises:
            ValueError: without a picture, for one that cannot be read, or without a describer.
        """
        (seen,) = self.restorer.describe(_given(file))
        there = [name for name in NAMES if name in seen.shown.split("+")]
        return seen, there, [round(seen.severities[name], 2) if name in there else MID_SEVERITY for name in NAMES]

    def restore(
        self,
        file: str | None,
        names: Sequence[str],
        severities: Sequence[float],
        shown: VisualInstruction | tuple[str, str] | None,
        strength: float,
        steps: int,
        report: Report = lambda share: None,
    ) -> tuple[tuple[Picture, Picture], Path, str]:
        """Restores a picture.

        Args:
            file: the picture.
            names: of the degradations to be removed.
            severities: of every degradation of the library, those of other names are not read.
            shown: instead of names an instruction, as the model wrote it, or files of a chart, clean and degraded.
            strength: in [0, 1].
            steps: of sampling.
            report: is told how far it is.

        Returns:
            The picture before and after, uint8 (H, W, 3); the file of the result, of the kind of the picture's, which
            the next restoration removes; and what was removed, in words.

        Raises:
            ValueError: without a picture or a degradation, or for files that cannot be read.
        """
        path = _given(file)
        if isinstance(shown, tuple):
            instruction: VisualInstruction | str = VisualInstruction.of_pictures(*shown, self.restorer.chart.size)
            words = "what the chart shows"
        elif shown is not None:
            instruction, words = shown, shown.shown.replace("+", " + ")
        elif names:
            instruction = spec(names, severities)
            words = instruction.replace("+", " + ")
        else:
            raise ValueError("nothing is chosen: tick what is to be removed")
        stored = read_stored(path)
        lq = as_batch(stored.samples)[0][0]
        found = self.restorer(lq, instruction, strength=strength, steps=steps, watch=_watched(report))
        suffix = path.suffix if path.suffix.lower() in FORMATS else ".png"
        for old in self.folder.glob(f"{_RESULT}*"):  # Gradio has a copy, which it removes in time
            shutil.rmtree(old, ignore_errors=True)
        result = Path(mkdtemp(prefix=_RESULT, dir=self.folder)) / f"{path.stem}_restored{suffix}"
        write_stored(result, found.image, stored)
        return (to_uint8(lq), found.numpy()), result, f"removed: {words}, strength {strength:g}, {steps} step(s)"


def spec(names: Sequence[str], severities: Sequence[float]) -> str:
    """ "rain:0.5+noise:0.3", in the order of image formation; "clean" of none.

    Args:
        names: of the degradations.
        severities: of all of the library, in its order.
    """
    chosen = [f"{name}:{severity:g}" for name, severity in zip(NAMES, severities, strict=True) if name in names]
    return "+".join(chosen) or NULL


def build(restorer: Restorer, folder: Path) -> gr.Blocks:
    """The page, to be launched; see `Page`."""
    page = Page(restorer, folder)
    folder.mkdir(parents=True, exist_ok=True)
    upload: dict[str, Any] = {"type": "filepath", "image_mode": None, "sources": ["upload", "clipboard"]}
    with gr.Blocks(title="Defusion", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# Defusion\nA picture, and on a chart what is to be removed from it.")
        seen = gr.State(None)  # what the model itself has written, until something else is chosen
        with gr.Row():
            with gr.Column():
                picture = gr.Image(label="Picture", elem_id="picture", **upload)
                names = gr.CheckboxGroup(list(NAMES), label="What is wrong with it", elem_id="names")
                look = gr.Button("Look for it", visible=restorer.describer is not None, elem_id="look")
                sliders = [
                    gr.Slider(0, 1, MID_SEVERITY, step=0.01, label=f"{name}: severity", visible=False, elem_id=name)
                    for name in NAMES
                ]
                ground = _enlarged(restorer.chart.canonical())
                with gr.Row():
                    chart, twin = (
                        gr.Image(ground, label=label, interactive=False, elem_id=label, buttons=[])
                        for label in ("chart", "degraded")
                    )
                with gr.Accordion("Or show it by pictures of a chart, clean and degraded", open=False):
                    own = [gr.Image(label=label, **upload) for label in ("Chart, clean", "Chart, degraded")]
            with gr.Column():
                strength = gr.Slider(0, 1, 1, step=0.05, label="Strength", elem_id="strength")
                steps = gr.Radio(list(STEPS), value=1, label="Steps")
                go = gr.Button("Restore", variant="primary", elem_id="go")
                words = gr.Markdown(elem_id="words")
                result = gr.ImageSlider(label="Before and after", elem_id="result")
                download = gr.DownloadButton("Download", interactive=False, elem_id="download")

        def show(chosen: list[str], *severities: float) -> list[Any]:
            clean, degraded = page.charts(chosen, severities)
            return [clean, degraded, None, *(gr.update(visible=name in chosen) for name in NAMES)]

        def look_at(file: str | None) -> list[Any]:
            with _told():
                found, there, severities = page.describe(file)
            moved = [gr.update(value=own, visible=name in there) for name, own in zip(NAMES, severities, strict=True)]
            return [there, f"seen: {found.words}", found, _enlarged(found.picture), *moved]

        def restore(
            file: str | None, clean: str | None, degraded: str | None, written: VisualInstruction | None,
            chosen: list[str], amount: float, count: int, *severities: float, progress: gr.Progress = gr.Progress(),
        ) -> list[Any]:  # fmt: skip
            with _told():
                shown = _both(clean, degraded) or written
                pair, path, said = page.restore(file, chosen, severities, shown, amount, count, progress)
            return [pair, said, gr.update(value=str(path), interactive=True)]

        controls: list[Any] = [names, *sliders]
        shown: list[Any] = [chart, twin, seen, *sliders]
        for control in controls:  # when a person moves them, not when `look_at` does
            control.input(show, controls, shown, show_progress="hidden", trigger_mode="always_last")
        picture.change(show, controls, shown, show_progress="hidden")  # what was seen in another is not shown on
        look.click(look_at, picture, [names, words, seen, twin, *sliders])
        go.click(restore, [picture, *own, seen, names, strength, steps, *sliders], [result, words, download])
    return blocks


def serve(restorer: Restorer, folder: Path, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serves the page until it is interrupted; by default to this machine alone, and never through a tunnel.

    Args:
        restorer: the model.
        folder: where uploads and results lie, to be removed in the end.
        host: address to listen on.
        port: of it.

    Raises:
        OSError: when the port is taken.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(folder)  # uploads too, which are removed with it
    blocks = build(restorer, folder)
    blocks.queue(default_concurrency_limit=1)  # one restoration at a time has the whole machine
    blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        ssr_mode=False,
        footer_links=[],
        max_file_size="200mb",
        css=_CSS,
    )


@contextmanager
def _told() -> Iterator[None]:
    """What the user can mend is shown on the page."""
    try:
        yield
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            words = "not enough memory for this picture: `defusion restore --tile 256` takes less"
        elif isinstance(error, RuntimeError):
            raise  # a fault of ours, which is to be seen whole
        else:
            words = str(error)
        raise gr.Error(words, print_exception=False) from error


def _given(file: str | None) -> Path:
    if not file:
        raise ValueError("there is no picture: upload one")
    return Path(file)


def _both(clean: str | None, degraded: str | None) -> tuple[str, str] | None:
    if bool(clean) != bool(degraded):
        raise ValueError("of the chart two pictures are needed, clean and degraded")
    return (clean, degraded) if clean and degraded else None


def _enlarged(chart: Image) -> Picture:
    """A chart (1, 3, S, S) with pixels that can be seen."""
    factor = max(1, _CHART_SIDE // chart.shape[-1])
    return np.ascontiguousarray(to_uint8(chart[0]).repeat(factor, 0).repeat(factor, 1))


def _watched(report: Report) -> Callable[[list[Group]], Iterable[Group]]:
    def watch(groups: list[Group]) -> Iterable[Group]:
        for number, group in enumerate(groups):
            report(number / len(groups))
            yield group

    return watch
