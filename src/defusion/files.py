"""Files that are whole or not there: written under a temporary name, then renamed."""

import errno
import glob
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of an OSError: the disk, or what one may have of it, is full."""
_PARTIAL = ".partial"
_DAY = 86_400
_HOST = f"{crc32(socket.gethostname().encode()):08x}"
"""File systems are shared, numbers of processes are not."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    Missing folders are made. The error of a full disk names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}{_PARTIAL}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files of `path` that killed processes left behind: of other machines, after a day."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        host, _, number = partial.name.removesuffix(_PARTIAL).removeprefix(f".{path.name}.").partition(".")
        with suppress(FileNotFoundError):  # another process was faster
            is_old = time.time() - partial.stat().st_mtime > _DAY
            if is_old or (host == _HOST and number.isdecimal() and not _is_alive(int(number))):
                partial.unlink()


def sync_folder(folder: Path) -> None:
    """Has the disk keep what was renamed there, over a power cut; not all file systems can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def full_disk(error: BaseException | None, hidden: bool = False) -> OSError | None:
    """The error of a full disk from which another one comes, or itself; None where there is none.

    Args:
        hidden: also where the other one came up while it was handled, and does not say so: torch's writers do that.
    """
    while error is not None and not (isinstance(error, OSError) and error.errno in NO_ROOM):
        error = error.__cause__ or (error.__context__ if hidden else None)
    return error


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
