"""How a network of the study was trained, from the settings that its training left, and on what it is measured."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from defusion.precision import default_device
from defusion.study.scores import Provenance

_AVERAGING = "ExponentialMovingAverage"
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
    )


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
