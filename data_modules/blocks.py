"""Test sets that come as one file of MATLAB arrays a side: the validation blocks of SIDD."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import io

from data_modules.levels import Levels, Sizes, identity_of
from defusion.imageio import ImageError


class BlockPairs:
    """Pairs of blocks, from two files with one array (scenes, blocks, H, W, 3) of uint8 each.

    The arrays, 250 MB each for SIDD, are read when the first block is asked for; their headers at once.

    Args:
        target: the file of the references.
        input: the file of the degraded blocks; None where they are made from the references.

    Attributes:
        names: "scene/block", both from 0.
        facts: the same as "scene" and "block".
        layout: the names of the files.

    Raises:
        ImageError: a file is missing or damaged, or its array is not as expected.
    """

    def __init__(self, target: Path, input: Path | None) -> None:
        self._paths = (target,) if input is None else (target, input)
        self.layout = " with ".join(path.name for path in reversed(self._paths))
        (self._shape, *others) = (_shape(path) for path in self._paths)
        if others and others[0] != self._shape:
            raise ImageError(input, f"expected the shape of {target.name}, {self._shape}, got {others[0]}")
        self._indices = list(np.ndindex(self._shape[:2]))
        self.names: Sequence[str] = [f"{scene}/{block}" for scene, block in self._indices]
        self.facts: Sequence[Mapping[str, str]] = [
            {"scene": str(scene), "block": str(block)} for scene, block in self._indices
        ]
        self._arrays: list[NDArray[np.uint8]] = []

    @cached_property
    def identity(self) -> str:
        """Of the contents of the files, which are read whole when this is first asked for."""
        return identity_of(self._paths)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> tuple[Levels | None, Levels]:
        """Block `position` and its reference, uint8 (H, W, 3) each."""
        if not self._arrays:
            self._arrays = [_read(path) for path in self._paths]
        target, *degraded = (array[self._indices[position]] for array in self._arrays)
        return (degraded[0] if degraded else None), target

    def sizes(self, position: int) -> Sizes:
        """Height and width of block `position`, and of its reference."""
        size = (self._shape[2], self._shape[3])
        return (size if len(self._paths) > 1 else None), size


def _shape(path: Path) -> tuple[int, ...]:
    """The shape of the one array in the file, from its header."""
    try:
        arrays = io.whosmat(str(path))
    except Exception as error:  # of the many that damaged files raise
        raise ImageError(path, _unreadable(error)) from error
    found = ", ".join(f"{name} {shape} of {kind}" for name, shape, kind in arrays) or "none"
    if len(arrays) != 1 or len(arrays[0][1]) != 5 or arrays[0][1][-1] != 3 or arrays[0][2] != "uint8":
        raise ImageError(path, f"expected one array (scenes, blocks, H, W, 3) of uint8, found {found}")
    return tuple(arrays[0][1])


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        arrays: dict[str, Any] = io.loadmat(str(path))
    except Exception as error:  # as above
        raise ImageError(path, _unreadable(error)) from error
    return next(value for name, value in arrays.items() if not name.startswith("__"))


def _unreadable(error: Exception) -> str:
    return f"expected a MATLAB file of version 5 to 7.2, which cannot be read: {error or type(error).__name__}"
