"""Trained weights that come with the package, each in a folder of its name with a model card."""

import re
from pathlib import Path

from defusion.weights import WeightsError

_HERE = Path(__file__).parent
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def names() -> list[str]:
    """What is shipped."""
    return sorted(file.parent.name for file in _HERE.glob("*/config.json"))


def find(
    weights: Path | str,
    *,
    revision: str | None = None,
    cache_dir: Path | str | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The folder of weights that a name or a path stands for; a folder of that name that holds weights comes first.

    Args:
        weights: a shipped model, a folder, or the id of a model on the Hugging Face hub, "owner/name", which is
            downloaded: only its JSON, safetensors and Markdown files.
        revision: branch, tag or commit on the hub.
        cache_dir: where models of the hub are kept.
        local_files_only: use what was downloaded before.
        token: for private models of the hub.

    Raises:
        WeightsError: when there is none of these.
    """
    folder = Path(weights)
    shipped = str(weights) in names()
    if str(weights) and folder.is_dir() and not (shipped and not (folder / "config.json").is_file()):
        return folder
    if shipped:
        return _HERE / str(weights)
    if isinstance(weights, str) and _HUB_ID.fullmatch(weights):
        return _downloaded(weights, revision=revision, cache_dir=cache_dir, local=local_files_only, token=token)
    raise WeightsError(
        f"weights: expected a folder written in training, one of the shipped models ({', '.join(names())}) or "
        f"a model on the Hugging Face hub (owner/name), got {str(weights)!r}"
    )


def _downloaded(
    model: str, revision: str | None, cache_dir: Path | str | None, local: bool, token: str | bool | None
) -> Path:
    """The folder of a model of the hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            model,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local,
            token=token,
            allow_patterns=["*.json", "*.safetensors", "*.md"],
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{model}: no such folder, and as a model on the Hugging Face hub it could not be had: {reason}"
        ) from error
    return Path(found)
