"""Networks of diffusers by folder or hub id: their configurations, and their weights as safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class PretrainedError(ValueError):
    """A pretrained network that is missing, or of a layout that is not known; says the place and what to do."""


def load_architecture(kind: str, source: str, subfolder: str, argument: str) -> dict[str, Any]:
    """The configuration of a network of diffusers, without the entries about its file.

    Args:
        kind: the name of its class.
        source: folder or hub id of a diffusers model.
        subfolder: of the network.
        argument: what errors call it.

    Raises:
        PretrainedError: when it is not there, or of another class.
    """
    if not source:
        raise PretrainedError(f"{argument}.source: expected a folder or hub id of a diffusers model, got none")
    try:
        found = dict(getattr(_diffusers(), kind).load_config(source, subfolder=subfolder))
    except PretrainedError:
        raise
    except Exception as error:  # of the many that files and the hub raise
        raise PretrainedError(_missing(argument, "a config.json", source, subfolder, error)) from error
    own = found.get("_class_name", kind)
    if own != kind:
        raise PretrainedError(f"{argument}.source: expected a {kind} in {source}/{subfolder}, got a {own}")
    return {key: value for key, value in found.items() if not key.startswith("_")}


def from_diffusers(kind: str, source: str, subfolder: str, architecture: Mapping[str, Any]) -> Any:
    """A network with the weights of its source, or of that architecture with fresh ones where there is no source.

    Raises:
        PretrainedError: when there are no safetensors weights.
    """
    network = getattr(_diffusers(), kind)
    if not source:
        return network.from_config(dict(architecture))
    try:
        return network.from_pretrained(source, subfolder=subfolder, use_safetensors=True, low_cpu_mem_usage=False)
    except Exception as error:  # as above
        raise PretrainedError(_missing(kind, "safetensors weights", source, subfolder, error)) from error


def embed_prompt(prompt: str, source: str) -> Tensor:
    """The embedding of a prompt by the CLIP text encoder of a diffusers model, (1, M, C), float32.

    Raises:
        PretrainedError: when the source has no text encoder that transformers reads.
    """
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ModuleNotFoundError as error:
        raise PretrainedError(f"prompt: needs {error.name}: pip install 'defusion[pretrained]'") from error
    try:
        tokenizer = CLIPTokenizer.from_pretrained(source, subfolder="tokenizer")
        encoder = CLIPTextModel.from_pretrained(source, subfolder="text_encoder", use_safetensors=True).eval()
    except Exception as error:  # as above
        raise PretrainedError(_missing("prompt", "a CLIP text encoder", source, "text_encoder", error)) from error
    words = tokenizer(prompt, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
    with torch.inference_mode():
        return encoder(torch.tensor([words["input_ids"]])).last_hidden_state.float().clone()


def _missing(argument: str, what: str, source: str, subfolder: str, error: Exception) -> str:
    lines = str(error).strip().splitlines()
    place = f"{source}/{subfolder}" if Path(source).is_dir() else f"{source!r}, {subfolder}"
    return (
        f"{argument}: expected a folder or hub id of a diffusers model with {what}, found none at {place} "
        f"({lines[0] if lines else type(error).__name__})"
    )


def _diffusers() -> Any:
    try:
        import diffusers
    except ModuleNotFoundError as error:
        raise PretrainedError(f"pretrained networks need {error.name}: pip install 'defusion[pretrained]'") from error
    return diffusers
