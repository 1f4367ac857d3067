"""Trained weights that come with the package, each in a folder of its name with a model card."""

from pathlib import Path

from defusion.weights import WeightsError

_HERE = Path(__file__).parent


def names() -> list[str]:
    """What is shipped."""
    return sorted(file.parent.name for file in _HERE.glob("*/config.json"))


def find(weights: Path | str) -> Path:
    """The folder of weights that a name or a path stands for; a folder of that name that holds weights comes first.

    Raises:
        WeightsError: when there is neither.
    """
    folder = Path(weights)
    shipped = str(weights) in names()
    if str(weights) and folder.is_dir() and not (shipped and not (folder / "config.json").is_file()):
        return folder
    if shipped:
        return _HERE / str(weights)
    raise WeightsError(
        f"weights: expected a folder written in training or one of the shipped models ({', '.join(names())}), "
        f"got {str(weights)!r}"
    )
