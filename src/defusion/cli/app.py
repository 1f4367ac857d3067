"""The command `app`."""

import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich import get_console

from defusion.cli.options import WEIGHTS, Weights
from defusion.restore.restorer import Restorer

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page's address.")] = 7860,
    host: Annotated[str, typer.Option(help="Who may open it: else this machine alone.")] = "127.0.0.1",
    weights: Weights = WEIGHTS,
) -> None:
    """Serve a page in the browser: upload, show what is wrong, compare before and after, download."""
    try:
        from defusion.app.page import serve
    except ModuleNotFoundError as error:
        raise ValueError(f"the page needs {error.name}: pip install 'defusion[app]'") from error
    console = get_console()
    if host not in _LOOPBACK:
        console.print(f"[yellow]everybody who reaches {host} may use this page[/yellow]")
    restorer = Restorer.from_pretrained(weights)
    console.print(f"open http://{host}:{port} in a browser; Ctrl-C ends it", highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what was uploaded is removed then, too
    with TemporaryDirectory(prefix="defusion-") as folder:
        serve(restorer, Path(folder), host, port)
