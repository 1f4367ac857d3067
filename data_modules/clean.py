"""Clean photographs as a test set whose degraded pictures are made from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_modules.photos import EMBEDDED, FolderPhotos, PhotoSource, open_photos
from defusion.imageio import Picture


class CleanPairs:
    """The references of a synthetic test.

    Args:
        data: None for the held-out embedded photographs; a folder, all of whose pictures are taken; or a picture
            data set of `datasets`, as `open_photos` has it, whose held-out share is taken.

    Attributes:
        names: of the pictures: paths below the folder without suffix, or numbers.
        facts: nothing.
        layout: where they come from, in words.
    """

    def __init__(self, data: str | None) -> None:
        self._source, self.names = _open(data)
        self.facts: Sequence[Mapping[str, str]] = [{}] * len(self._source)
        self.layout = f"clean pictures of {data or 'the package'}"

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, position: int) -> tuple[None, Picture]:
        """No degraded picture, and the reference, uint8 (H, W, 3)."""
        return None, self._source[position]


def _open(data: str | None) -> tuple[PhotoSource, Sequence[str]]:
    if not data:
        return open_photos(None, "val"), [Path(name).stem for name in EMBEDDED["val"]]
    if Path(data).is_dir():
        folder = FolderPhotos(data)
        relative = [path.relative_to(data) for path in folder.paths]
        stems = [path.with_suffix("").as_posix() for path in relative]
        same = len(set(stems)) < len(stems)
        return folder, [path.as_posix() for path in relative] if same else stems
    source = open_photos(data, "val")
    return source, [str(number) for number in range(len(source))]
