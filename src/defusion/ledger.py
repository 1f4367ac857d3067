"""Records of the pictures done so far, on the disk: what interrupted work goes on from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from defusion.files import replacing

Row: TypeAlias = dict[str, Any]
"""A picture's record: its "name", and what else was noted of it."""


class Ledger:
    """One JSON line a picture, written through to the disk before the next picture begins.

    The first line says what is done; a ledger of something else is begun anew. A line cut off by a crash
    is dropped, and with it nothing but its picture.

    Args:
        file: made when missing.
        identity: all that fixes the results (task, data, weights, steps, ...), JSON values.
    """

    def __init__(self, file: Path, identity: Mapping[str, Any]) -> None:
        self.file = file
        self._head = _head(identity)
        self.rows = self.read(file, identity)
        with replacing(file) as partial:
            partial.write_text("".join(f"{line}\n" for line in (self._head, *map(json.dumps, self.rows.values()))))

    def add(self, row: Row) -> None:
        """Records one picture; it survives a kill at once."""
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row, allow_nan=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        self.rows[row["name"]] = row

    def close(self) -> None:
        """Removes the file: the work is complete and its results are elsewhere."""
        self.file.unlink(missing_ok=True)

    @staticmethod
    def read(file: Path, identity: Mapping[str, Any]) -> dict[str, Row]:
        """The records by name, without making the file; none where it holds something else."""
        if not file.is_file():
            return {}
        head, *lines = file.read_text(encoding="utf-8", errors="replace").split("\n") or [""]
        if head != _head(identity):
            return {}
        rows = {}
        for line in lines:
            try:
                row = json.loads(line)
                rows[row["name"]] = row
            except (ValueError, KeyError, TypeError):
                continue  # cut off in the middle
        return rows


def _head(identity: Mapping[str, Any]) -> str:
    return json.dumps({"identity": identity}, sort_keys=True)
