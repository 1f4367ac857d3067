"""ONNX: the file computes what the model does, at any size."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from defusion.degradations.library import NAMES
from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.instruction import NULL
from defusion.random import generator, normals
from defusion.restore import export
from defusion.restore.export import TOLERANCE, ExportError, Sampled, export_onnx
from defusion.restore.restorer import Restorer
from tests.conftest import TINY_UNET

onnx = pytest.importorskip("onnx", reason="needs defusion[export]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs defusion[export]")
pytest.importorskip("onnxscript", reason="needs defusion[export]")


@pytest.fixture
def restorer(model: Defusion) -> Restorer:
    return Restorer(model, "cpu")


def test_the_sampler_written_out_is_the_sampler(model: Defusion) -> None:
    lq, tokens = torch.rand(2, 3, 16, 24, generator=generator(0)), torch.randn(2, 4, 16, generator=generator(1))
    for steps in (1, 3):
        draw = normals(generator(2))
        expected = model.restore(lq, tokens, draw, steps)
        found = Sampled(model, steps)(lq, tokens, normals(generator(2))(lq.shape))
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_file_computes_what_the_model_does(restorer: Restorer, steps: int, tmp_path: Path) -> None:
    file = tmp_path / "new" / "model.onnx"
    assert export_onnx(restorer, file, steps) <= TOLERANCE
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    tokens = load_file(file.with_suffix(".instructions.safetensors"))
    assert set(tokens) == {NULL, *NAMES}
    lq = torch.rand(1, 3, 56, 120, generator=generator(3))
    inputs = {"lq": lq.numpy(), "tokens": tokens["rain"].numpy()}
    if steps > 1:
        inputs["noise"] = torch.zeros_like(lq).numpy()
    (found,) = session.run(["restored"], inputs)
    with torch.inference_mode():
        expected = restorer.model.restore(lq, tokens["rain"], torch.zeros, steps)
    assert torch.allclose(torch.from_numpy(found), expected, atol=TOLERANCE)
    about = {own.key: json.loads(own.value) for own in onnx.load(file).metadata_props}
    assert about == {"steps": steps, "stride": TINY_UNET.stride, "noise": steps > 1}
    assert sorted(own.name for own in file.parent.iterdir()) == ["model.instructions.safetensors", "model.onnx"]


def test_a_file_that_computes_something_else_is_not_kept(
    restorer: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([0.0, float("nan")])
    monkeypatch.setattr(export, "_difference", lambda *_: next(found))
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export_onnx(restorer, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_refused(restorer: Restorer, model: Defusion, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ending in \.onnx"):
        export_onnx(restorer, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="steps: expected at least 1"):
        export_onnx(restorer, tmp_path / "model.onnx", 0)
    unet = type(TINY_UNET)(**{**vars(TINY_UNET), "gate": False})
    blind = Defusion(DefusionConfig(unet=unet, instruction="none"), model.tokenizer)
    with pytest.raises(ExportError, match="expected one with instructions"):
        export_onnx(Restorer(blind, "cpu"), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4])
def test_the_shipped_model_is_exported(steps: int, tmp_path: Path) -> None:
    difference = export_onnx(Restorer.from_pretrained("small", "cpu"), tmp_path / "small.onnx", steps)
    print(f"{steps} steps: {difference:.1e}")
    assert difference <= TOLERANCE
