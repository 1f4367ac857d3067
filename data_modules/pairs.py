"""Real pairs of degraded and clean pictures, beside the synthetic ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from data_modules.crops import CropDataset, RandomGeometry
from data_modules.decoding import CACHE_BYTES, PictureStore
from data_modules.photos import some_of
from data_modules.training_sets import find_training_pairs
from defusion.degradations.library import parse
from defusion.imageio import ImageError, Picture, find_images, image_size, read_image
from defusion.layouts import Faults
from defusion.random import generator


@dataclass(frozen=True)
class PairSource:
    """Real pairs to train on: a folder of anyone's, or a published set by name.

    Attributes:
        folder: holds `input/` and `target/`; of a published set its folder, or one that holds it.
        task: the degradations of the inputs by name, "rain+noise"; that of the set when not given.
        weight: how often a sample comes from here, relative to the other sources.
        set: name of a published set, see `data_modules.training_sets`; "" for none.

    Raises:
        ValueError: for neither a folder nor a set, or a folder without a task.
    """

    folder: str = ""
    task: str = ""
    weight: float = 1.0
    set: str = ""

    def __post_init__(self) -> None:
        if not self.set and not (self.folder and self.task):
            raise ValueError(f"pairs: expected a folder and its task, or a set by name, got {self}")

    def open(self) -> "PairedFiles":
        """Its pairs, checked.

        Raises:
            ValueError: see `PairedFolder` and `find_training_pairs`.
        """
        if not self.set:
            return PairedFolder(self.folder, self.task)
        task, pairs = find_training_pairs(self.set, self.folder)
        paths = [(own.input, own.target) for own in pairs if own.input is not None]
        return PairedFiles(f"training set {self.set}", self.task or task, paths, [own.name for own in pairs])


def open_all(sources: "Sequence[PairSource]") -> "list[PairedFiles]":
    """The pairs of all sources; what is wrong with any of them is said at once.

    Raises:
        ValueError: see `PairSource.open`.
    """
    found, errors = [], []
    for source in sources:
        try:
            found.append(source.open())
        except ValueError as error:
            errors.append(str(error))
    if errors:
        raise ValueError("\n".join(errors))
    return found


class PairedFiles:
    """Pairs of picture files.

    Args:
        title: what errors call them.
        task: the degradations of the inputs by name, joined by "+": "rain", "rain+noise".
        paths: of each degraded picture and its reference.
        names: of the pairs.
        faults: found before, kind -> files.

    Attributes:
        names: of the pairs.

    Raises:
        ValueError: the task is unknown, there are faults, or pictures are unreadable or of another size than their
            partner.
    """

    def __init__(
        self,
        title: str,
        task: str,
        paths: Sequence[tuple[Path, Path]],
        names: Sequence[str],
        faults: Faults | None = None,
    ) -> None:
        parse(task)
        self.task, self.names, self._paths = task, list(names), list(paths)
        found = dict(faults or {})
        for own in self._paths:
            _check(own, found)
        lines = [f"{len(files)} {fault} ({some_of(files)})" for fault, files in found.items() if files]
        if lines:
            raise ValueError(f"{title}: {'; '.join(lines)}")

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, position: int) -> tuple[Picture, Picture]:
        """The degraded and the clean picture, uint8 (H, W, 3) each; ImageError for a damaged one."""
        degraded, clean = (read_image(path) for path in self._paths[position])
        if degraded.shape != clean.shape:
            raise ImageError(self._paths[position][0], f"{degraded.shape} against {clean.shape} of its target")
        return degraded, clean


class PairedFolder(PairedFiles):
    """A folder with degraded pictures in `input` and clean ones in `target`, matched by stem.

    Args:
        folder: pictures may lie in sub-folders, the same in both.
        task: the degradations of the inputs by name, joined by "+": "rain", "rain+noise".

    Raises:
        ValueError: the task is unknown, `input` or `target` is missing or empty, or pictures in them have no
            partner, are unreadable, or differ in size from their partner; names all kinds of faults at once.
    """

    def __init__(self, folder: str | Path, task: str) -> None:
        parse(task)
        faults: Faults = {}
        inputs, targets = (_by_stem(Path(folder), side, faults) for side in ("input", "target"))
        faults["without a target"] = sorted(inputs.keys() - targets.keys())
        faults["without an input"] = sorted(targets.keys() - inputs.keys())
        names = sorted(inputs.keys() & targets.keys())
        super().__init__(f"paired folder {folder}", task, [(inputs[own], targets[own]) for own in names], names, faults)


def _by_stem(folder: Path, side: str, faults: Faults) -> dict[str, Path]:
    root = folder / side
    if not folder.is_dir():
        raise ValueError(f"paired folder {folder}: no such folder")
    if not root.is_dir():
        raise ValueError(
            f"paired folder {folder}: no folder {side!r} in it; expected degraded pictures in "
            "'input' and clean ones of the same names in 'target'"
        )
    by_stem: dict[str, Path] = {}
    for path in find_images(root):
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in by_stem:
            faults.setdefault(f"more than once in {side!r}", []).append(name)
        by_stem[name] = path
    return by_stem


def _check(paths: tuple[Path, Path], faults: Faults) -> None:
    try:
        (height, width), (clean_height, clean_width) = map(image_size, paths)
    except ImageError as error:
        faults.setdefault("unreadable", []).append(str(error))
        return
    if (height, width) != (clean_height, clean_width):
        sizes = f"{paths[0].name}: {width} x {height} against {clean_width} x {clean_height}"
        faults.setdefault("of another size than the target", []).append(sizes)


_CHOICE = 0x9A12
"""The random stream of which source and which pair, apart from those of the synthesis."""


class PairMixture:
    """Which samples are crops of real pairs, in given shares, and these crops; fixed by (seed, index).

    Args:
        pairs: the paired folders. A pair damaged on the disk is replaced by the next.
        weights: of clean pictures and of each paired folder, in this order; relative to their sum.
        crop_size: height and width of a crop, in pixels.
        seed: of all choices.
    """

    def __init__(self, pairs: Sequence[PairedFiles], weights: Sequence[float], crop_size: int, seed: int = 0) -> None:
        if len(weights) != 1 + len(pairs):
            raise ValueError(
                f"weights: expected one for the clean crops and one for each of {len(pairs)} paired folders, "
                f"got {len(weights)}"
            )
        if min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"weights: expected none below 0 and a sum above 0, got {list(weights)}")
        self.seed = seed
        self._tasks = [folder.task for folder in pairs]
        self._shares = torch.tensor(weights, dtype=torch.float64)
        share = CACHE_BYTES // max(1, len(pairs))
        self._stores = [PictureStore(folder.__getitem__, len(folder), share) for folder in pairs]
        self._geometry = RandomGeometry(crop_size)

    def __call__(self, index: int) -> dict[str, Any] | None:
        """The item of a pair, both pictures cropped and flipped alike, with its task; None where a clean one is due."""
        chance = generator(self.seed, index, _CHOICE)
        source = int(torch.multinomial(self._shares, 1, generator=chance))
        if source == 0:
            return None
        store = self._stores[source - 1]
        pictures = store[int(torch.randint(len(store), (), generator=chance))]
        lq, hq = self._geometry(pictures, chance)
        return {"hq": hq, "lq": lq, "index": index, "task": self._tasks[source - 1]}


class MixedDataset(Dataset[dict[str, Any]]):
    """Clean crops, some replaced by crops of real pairs; items are those of `CropDataset`.

    Args:
        clean: gives the length too.
        mixture: says which, with its crop size and seed.
    """

    def __init__(self, clean: CropDataset, mixture: PairMixture) -> None:
        self.clean = clean
        self.mixture = mixture

    def __len__(self) -> int:
        return len(self.clean)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.mixture(index) or self.clean[index]
