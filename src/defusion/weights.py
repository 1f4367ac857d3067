"""Weights on disk: a safetensors file and a JSON file that says what it is. Nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from defusion.distributed import rank, whole
from defusion.files import replacing

FORMAT_VERSION = 2
"""Counts up when the layout of the files changes."""


class WeightsError(ValueError):
    """Weights that are missing, damaged, or made for something else; says the file and what to do."""


def save_weights(
    folder: Path | str, state: Mapping[str, Tensor], config: Mapping[str, Any], name: str = "model"
) -> None:
    """Writes `<name>.safetensors` in half precision and `config.json`, each first under a temporary name.

    The checkpoints of a training keep full precision; this is for inference and for shipping. Of several processes all
    call it, for each may have a part of the tensors, and the first writes.

    Args:
        folder: made when missing; older weights in it are replaced.
        state: a state dict.
        config: what is needed to build the model again, JSON values only.
        name: of the model, for example "tokenizer"; kept in the JSON and checked on loading.

    Raises:
        WeightsError: for numbers that half precision cannot hold (beyond 65,504, infinite, not a number); older
            weights stay.
    """
    folder = Path(folder)
    halves = {key: stored(value) for key, value in state.items()}
    if rank() > 0:
        return
    if lost := [key for key, value in halves.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise WeightsError(
            f"{folder}: not written: expected finite weights up to 65,504, but not all of {', '.join(lost[:3])} are: "
            "the training has diverged; go on from an earlier checkpoint at a lower learning rate"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = save(halves)
    about = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "config": dict(config),
    }
    text = json.dumps(about, indent=2).encode()
    _write(folder / f"{name}.safetensors", weights)
    _write(folder / "config.json", text)


def stored(value: Tensor) -> Tensor:
    """A tensor as it is on the disk: on the CPU, contiguous, float16 if it is of floating point.

    Zeros have no sign: an average of equal weights loses that of -0.
    """
    value = whole(value.detach()).cpu().contiguous()
    return value.half() + 0.0 if value.is_floating_point() else value


def load_weights(folder: Path | str, name: str = "model") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_weights` wrote.

    Returns:
        The state dict, on the CPU, and the configuration (lists where tuples were saved).

    Raises:
        WeightsError: if a file is missing or damaged, belongs to another model or to a newer
            format, or if the two files do not belong together.
    """
    folder = Path(folder)
    config_file, weights_file = folder / "config.json", folder / f"{name}.safetensors"
    about = _read_about(config_file, name)
    weights = _read(weights_file)
    if hashlib.sha256(weights).hexdigest() != about["sha256"]:
        raise WeightsError(
            f"{weights_file}: not the file that {config_file.name} beside it describes (damaged, or copied "
            "from elsewhere); copy both files again from one source"
        )
    try:
        return load(weights), about["config"]
    except SafetensorError as error:
        raise WeightsError(f"{weights_file}: not a safetensors file ({error})") from error


def checksum(folder: Path | str) -> str:
    """SHA-256 of the descriptions in a folder of weights, which hold those of the weights: names the model.

    Raises:
        WeightsError: when there is none.
    """
    folder = Path(folder)
    files = sorted(folder.rglob("config.json"))
    if not files:
        raise WeightsError(f"{folder}: no config.json in it; expected a folder of weights written in training")
    return hashlib.sha256(b"".join(_read(file) for file in files)).hexdigest()


def _read_about(file: Path, name: str) -> dict[str, Any]:
    try:
        about = json.loads(_read(file))
    except ValueError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{file}: not a JSON file ({error}); copy the weights again") from error
    if not isinstance(about, dict) or not {"format_version", "name", "sha256", "config"} <= about.keys():
        raise WeightsError(f"{file}: expected a description written by save_weights, got another JSON file")
    if about["format_version"] != FORMAT_VERSION:
        raise WeightsError(
            f"{file}: expected format version {FORMAT_VERSION}, got {about['format_version']!r}; "
            "use the release of defusion that wrote it"
        )
    if about["name"] != name:
        raise WeightsError(f"{file}: expected the weights of a {name}, got those of a {about['name']}")
    return about


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{file}: cannot be read ({error.strerror}); expected a folder with config.json and the "
            "safetensors file written in training"
        ) from error


def _write(file: Path, content: bytes) -> None:
    with replacing(file) as partial:
        partial.write_bytes(content)
