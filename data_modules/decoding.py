"""Decoded pictures kept in memory, and the broken ones among them replaced."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from torch.utils.data import get_worker_info

from defusion.imageio import ImageError, Picture

log = logging.getLogger(__name__)

CACHE_BYTES = 2**30
"""Memory of a process for decoded pictures of one kind, clean ones or pairs, shared out among its data workers."""

Decode: TypeAlias = Callable[[int], tuple[Picture, ...]]
"""The pictures that belong together at a position: one photograph, or the two of a pair."""


class VanishedError(OSError):
    """The folder of a data set that was there when it was opened is not any more; says what to do."""


class PictureStore:
    """Pictures by position, decoded once while they fit into the budget.

    A full cache keeps what it holds: under random access that is as good as any eviction, and costs
    nothing. A position whose pictures cannot be decoded gives those of the next one that can be, so
    that one damaged file does not end a training; this depends on the files alone, not on the worker.
    A folder that is gone does end it: training would go on with what happens to be in memory.

    Args:
        decode: gives the pictures at a position, raises ImageError for broken ones.
        count: number of positions.
        cache_bytes: budget for decoded pictures; 0 keeps none.
    """

    def __init__(self, decode: Decode, count: int, cache_bytes: int = CACHE_BYTES) -> None:
        self._decode = decode
        self._count = count
        self._cache_bytes = cache_bytes
        self._cached: dict[int, tuple[Picture, ...]] = {}
        self._used_bytes = 0
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return self._count

    @property
    def num_broken(self) -> int:
        """Positions found broken so far, in this process."""
        return len(self._broken)

    def __getitem__(self, position: int) -> tuple[Picture, ...]:
        if not 0 <= position < self._count:
            raise IndexError(f"position: expected 0 to {self._count - 1}, got {position}")
        for step in range(self._count):
            candidate = (position + step) % self._count
            if candidate in self._broken:
                continue
            try:
                return self._cached.get(candidate) or self._fetch(candidate)
            except ImageError as error:
                _check_folder(error.__cause__)
                self._broken.add(candidate)
                if self.num_broken == 1:
                    log.warning("%s; another picture takes its place, as for any further broken one", error)
        raise ImageError(f"all {self._count} pictures", "none can be decoded")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cached": {}, "_used_bytes": 0}

    def _fetch(self, position: int) -> tuple[Picture, ...]:
        pictures = self._decode(position)
        size = sum(picture.nbytes for picture in pictures)
        worker = get_worker_info()
        if self._used_bytes + size <= self._cache_bytes // (worker.num_workers if worker else 1):
            self._cached[position] = pictures
            self._used_bytes += size
        return pictures


def _check_folder(cause: BaseException | None) -> None:
    """Raises VanishedError when a file is missing because all of its folder is."""
    if isinstance(cause, FileNotFoundError) and not (folder := Path(cause.filename).parent).exists():
        raise VanishedError(
            f"{folder}: was there when the data set was opened, and is gone: put it back (is its disk mounted?), then "
            "go on with --ckpt_path last"
        ) from cause
