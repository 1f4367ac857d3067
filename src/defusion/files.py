"""Files that are whole or not there: written under a temporary name, then renamed."""

import glob
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

_PARTIAL = ".partial"
_HOST = f"{crc32(socket.gethostname().encode()):08x}"
"""File systems are shared, numbers of processes are not."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    Missing folders are made. An OSError names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}{_PARTIAL}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files of `path` that killed processes of this machine left behind."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.{_HOST}.*{_PARTIAL}"):
        number = partial.name.removesuffix(_PARTIAL).rpartition(".")[2]
        if number.isdecimal() and not _is_alive(int(number)):
            partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Has the disk keep what was renamed there, over a power cut."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
