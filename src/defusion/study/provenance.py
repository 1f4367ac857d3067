"""How a network of the study was trained, from the settings that its training left, and on what it is measured."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml

import defusion
from defusion.evaluation.report import write_text
from defusion.precision import default_device
from defusion.study.scores import Provenance

_AVERAGING = "ExponentialMovingAverage"
_CODE, _JOINED = "code.txt", ", "
_CPUS = Path("/proc/cpuinfo")


def provenance_of(folder: Path, size: int) -> Provenance:
    """What the `config.yaml` in a training's folder says; None where it says nothing.

    Args:
        folder: of the training.
        size: side in px of the squares that are measured.
    """
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        config = None
    data, model = _at(config, "data", "init_args"), _at(config, "model", "init_args")
    callbacks = _at(config, "trainer").get("callbacks") or []
    averaging = next((own for own in callbacks if str(own.get("class_path")).endswith(_AVERAGING)), None)
    photographs = f"`{Path(str(data['data'])).name}`" if data.get("data") else "the embedded photographs"
    return Provenance(
        data=photographs if data else None,
        crop=data.get("crop_size"),
        batch=data.get("batch_size"),
        optimiser=model.get("optimizer"),
        learning_rate=model.get("learning_rate"),
        averaging=_at(averaging, "init_args").get("decay"),
        size=size,
        device=device_name(),
        code=_noted(folder),
    )


def note_code(folder: Path) -> None:
    """Adds the digest of this code to those that train in a folder."""
    known = _noted(folder)
    own = code_digest()
    if known is None or own not in known:
        write_text(folder / _CODE, "\n".join([*(known.split(_JOINED) if known else []), own]))


@cache
def code_digest() -> str:
    """Another one for other sources of this package or of the data modules."""
    digest = hashlib.sha256()
    for root in (Path(defusion.__file__).parent, Path(defusion.__file__).parents[2] / "data_modules"):
        for file in sorted(root.rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:10]


def _noted(folder: Path) -> str | None:
    file = folder / _CODE
    return _JOINED.join(file.read_text(encoding="utf-8").split()) if file.is_file() else None


def device_name() -> str:
    """The name of the device that networks run on, and of a CPU the threads."""
    device = default_device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _CPUS.read_text(encoding="utf-8").splitlines() if _CPUS.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"CPU ({models[0] if models else platform.machine()}), {torch.get_num_threads()} threads"


def _at(values: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path of names; an empty one where there is none."""
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}
