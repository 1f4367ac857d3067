"""The command, made of its parts."""

import sys

import typer
from rich import get_console

from defusion.cli.app import app as page
from defusion.cli.chart import chart
from defusion.cli.evaluation import evaluate, tasks
from defusion.cli.export import export
from defusion.cli.obedience import obedience
from defusion.cli.pictures import degrade, ground
from defusion.cli.pretrained import pretrain
from defusion.cli.restore import describe, restore
from defusion.cli.study import ablation, peers
from defusion.cli.training import bench, demo, train
from defusion.restore.batch import line_of, out_of_memory

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (
    ground,
    chart,
    degrade,
    restore,
    describe,
    tasks,
    obedience,
    demo,
    bench,
    export,
    ablation,
    peers,
    pretrain,
):
    app.command()(command)
app.command("eval")(evaluate)
app.command("app")(page)
# LightningCLI reads the arguments itself, and helps itself.
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(train)


def main() -> None:
    """Runs the command; what the user can mend is one line on stderr and exit code 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        _fail(str(error))
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise  # a fault of ours, which is to be seen whole
        _fail(line_of(error))


def _fail(line: str) -> None:
    get_console().file.flush()
    print(f"defusion: {line}", file=sys.stderr)
    sys.exit(2)
