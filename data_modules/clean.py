"""Clean photographs as a test set whose degraded pictures are made from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_modules.benchmark import FilePairs, PairSet, check, open_benchmark
from data_modules.levels import Sizes
from data_modules.photos import EMBEDDED, EmbeddedPhotos, is_split
from data_modules.tables import is_data_set
from defusion.imageio import Picture, find_images
from defusion.layouts import Layout, PairPaths


def open_clean(data: str | None) -> PairSet:
    """The references of a synthetic test, checked as those of any test set: none is passed over or replaced.

    Args:
        data: None for the held-out embedded photographs; a folder, all of whose pictures are taken, or those of its
            `val/` where it has `train/` and `val/` (as `open_photos` trains on the former); or a picture data set of
            `datasets`, whose test split is taken where it has one.

    Raises:
        PairSetError: nothing of that kind there, or pictures that cannot be read.
    """
    if data is None:
        return EmbeddedPairs()
    folder = Path(data)
    if is_split(folder):
        folder = folder / "val"
        data = str(folder)
    if not folder.is_dir() or is_data_set(folder):
        return open_benchmark(data, (Layout("{name}"),))
    paths = find_images(folder)
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    if len(set(names)) < len(names):  # as a.png beside a.jpg
        names = [path.relative_to(folder).as_posix() for path in paths]
    pictures = [PairPaths(name, path, None, {}) for name, path in zip(names, paths, strict=True)]
    pairs = FilePairs(pictures, f"all pictures of {data}")
    check(data, pairs, {})
    return pairs


class EmbeddedPairs:
    """The held-out photographs in scikit-image's wheel; see `PairSet`."""

    def __init__(self) -> None:
        self._source = EmbeddedPhotos("val")
        self.names: Sequence[str] = [Path(name).stem for name in EMBEDDED["val"]]
        self.facts: Sequence[Mapping[str, str]] = [{}] * len(self._source)
        self.layout = "the embedded photographs"
        self.identity = "embedded"

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, position: int) -> tuple[None, Picture]:
        """No degraded picture, and the reference, uint8 (H, W, 3)."""
        return None, self._source[position]

    def sizes(self, position: int) -> Sizes:
        """No degraded picture, and height and width of the reference."""
        height, width, _ = self._source[position].shape
        return None, (height, width)
