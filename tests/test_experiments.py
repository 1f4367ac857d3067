"""Every experiment runs: two steps of it, small where size does not matter."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from defusion.describer.network import Describer, DescriberConfig
from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.training import train
from defusion.unet.unet import UNetConfig
from tests.unet.layouts import SD15, source

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
RUNS = sorted(
    path.relative_to(EXPERIMENTS).as_posix()
    for stage in ("tokenizer", "diffusion", "describer")  # those of the ablation study are in tests/study
    for path in (EXPERIMENTS / stage).glob("*.yaml")
    if path.stem
    not in ("small_middle", "small_finish", "small_pictures", "sd15")  # after another, or of a source: below
)
LARGE = {"tokenizer/paper.yaml", "diffusion/paper.yaml", "tokenizer/small.yaml"}


def settings(run: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((EXPERIMENTS / run).read_text())
    return loaded


def fit(monkeypatch: pytest.MonkeyPatch, run: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    train(["fit", "--config", str(EXPERIMENTS / "base.yaml"), "--config", str(EXPERIMENTS / run), *arguments])


def small(folder: Path) -> list[str]:
    """Arguments by which an experiment is two steps on small crops."""
    return [
        *("--trainer.fast_dev_run", "true", "--trainer.default_root_dir", str(folder)),
        *("--trainer.accelerator", "cpu", "--trainer.precision", "32-true"),
        *("--data.init_args.workers", "0", "--data.init_args.batch_size", "2"),
        *("--data.init_args.crop_size", "64", "--data.init_args.validation_size", "64"),
        *("--data.init_args.validation_photos", "1", "--data.init_args.validation_tasks", "[haze]"),
        *("--data.init_args.synthesis.grounds", "2"),
    ]


@pytest.mark.parametrize("run", [pytest.param(run, marks=pytest.mark.slow) if run in LARGE else run for run in RUNS])
def test_experiment_runs(run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = small(tmp_path)
    if run.startswith("tokenizer"):
        arguments += ["--model.init_args.perceptual", "null"]
    elif run == "diffusion/paper.yaml":
        arguments += ["--data.init_args.pairs", "[]"]  # whose sets are tested in test_training_sets.py
    if not run.startswith("tokenizer"):
        config = settings(f"tokenizer/{Path(run).name}")["model"]["init_args"]["config"]
        Tokenizer(TokenizerConfig(**config)).save(tmp_path / "tokenizer")
        arguments += ["--model.init_args.tokenizer", str(tmp_path / "tokenizer")]
    fit(monkeypatch, run, *arguments)


@pytest.mark.parametrize("part", ["small_middle", "small_finish"])
def test_the_later_parts_of_small_go_on_from_the_first(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = TokenizerConfig(**settings("tokenizer/small.yaml")["model"]["init_args"]["config"])
    unet = settings("diffusion/small.yaml")["model"]["init_args"]["model"]["unet"]
    first = Defusion(DefusionConfig(UNetConfig(**{key: _frozen(own) for key, own in unet.items()})), Tokenizer(config))
    folders = {"start": tmp_path / "weights", "tokenizer": tmp_path / "weights" / "tokenizer"}
    first.save(folders["start"])
    given = [word for name, folder in folders.items() for word in (f"--model.init_args.{name}", str(folder))]
    second = ["--config", str(EXPERIMENTS / f"diffusion/{part}.yaml")]
    fit(monkeypatch, "diffusion/small.yaml", *second, *small(tmp_path), *given)


@pytest.mark.parametrize("part", ["small_finish", "small_pictures"])
def test_the_later_parts_of_the_describer_go_on_from_the_first(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = settings("tokenizer/small.yaml")["model"]["init_args"]["config"]
    tokenizer = Tokenizer(TokenizerConfig(**config)).eval()
    tokenizer.save(tmp_path / "tokenizer")
    Describer(DescriberConfig(crop_size=32), tokenizer).save(tmp_path / "first")
    given = [
        "--model.init_args.tokenizer",
        str(tmp_path / "tokenizer"),
        "--model.init_args.start",
        str(tmp_path / "first"),
    ]
    second = ["--config", str(EXPERIMENTS / f"describer/{part}.yaml")]
    fit(monkeypatch, "describer/small.yaml", *second, *small(tmp_path), *given)


def test_tokenizers_do_not_accumulate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = [*small(tmp_path), "--model.init_args.perceptual", "null", "--trainer.accumulate_grad_batches", "2"]
    with pytest.raises(ValueError, match=r"accumulate_grad_batches: expected 1, .* give a larger data\.batch_size"):
        fit(monkeypatch, "tokenizer/nano.yaml", *arguments)


def test_steps_of_an_epoch_are_all_of_one_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Tokenizer(TokenizerConfig(**settings("tokenizer/nano.yaml")["model"]["init_args"]["config"])).save(tmp_path)
    arguments = [*small(tmp_path), "--model.init_args.tokenizer", str(tmp_path), "--data.steps_per_epoch", "10"]
    with pytest.raises(ValueError, match=r"expected a divisor of data\.steps_per_epoch 10, .* got 4"):
        fit(monkeypatch, "diffusion/nano.yaml", *arguments, "--trainer.accumulate_grad_batches", "4")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--trainer.max_step", "3"], "unrecognized arguments: --trainer.max_step 3"),
        (["--trainer.max_epochs", "many"], "trainer.max_epochs: Expected a <class 'int'>; Given value: many"),
        (["--data.crop_size", "a"], "data.crop_size: Expected a <class 'int'>. Got value: a"),
        (["--data.pairs", "[{name: gopro}]"], "data.pairs: Option 'name' is not accepted"),
        (["--config", "none.yaml"], "config: File does not exist: 'none.yaml'"),
        (["--data.validation_tasks", "[rian]"], "data.validation_tasks: unknown degradation 'rian'"),
        (["--data.batch_size", "0"], "data.batch_size: expected at least 1, got 0"),
        (["--data.workers", "-1"], "data.workers: expected at least 0, got -1"),
        (["--data.pairs", "[{folder: none, task: rain}]"], "paired folder none: no such folder"),
        (["--data.data", "stream:"], "stream:: not found; expected a parquet or arrow file"),
        (["--data.data", "stream:no/such/place"], "stream:no/such/place: not found; expected a parquet"),
        (["--trainer.max_steps", "-5"], "`max_steps` must be"),
        (["--data.synthesis.weights", "{rainn: 1}"], "weights: expected names among low_light, rain"),
    ],
)
def test_a_wrong_argument_is_one_line(
    arguments: list[str], line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        fit(monkeypatch, "tokenizer/nano.yaml", *small(tmp_path), *arguments)
    assert "\n" not in str(caught.value)
    assert str(caught.value).replace(f"{Path.cwd()}/", "").startswith(line)


def test_a_tokenizer_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = ["--model.init_args.tokenizer", str(tmp_path / "none")]
    with pytest.raises(
        ValueError, match=r"none: no such folder; expected that of a tokenizer, as make train-tokenizer [^\n]*$"
    ):
        fit(monkeypatch, "diffusion/nano.yaml", *small(tmp_path), *own)


def test_only_the_diffusion_is_shared_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = [*small(tmp_path), "--model.init_args.perceptual", "null", "--trainer.strategy", "sharded"]
    with pytest.raises(ValueError, match="sharded is for the diffusion"):
        fit(monkeypatch, "tokenizer/nano.yaml", *arguments)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("size", ["nano", "small", "paper"])
def test_sizes_of_the_two_stages_fit(size: str) -> None:
    tokenizer, diffusion = (settings(f"{stage}/{size}.yaml") for stage in ("tokenizer", "diffusion"))
    config = TokenizerConfig(**tokenizer["model"]["init_args"]["config"])
    assert diffusion["model"]["init_args"]["model"]["unet"]["token_channels"] == config.token_channels
    for stage in (tokenizer, diffusion):
        assert stage["data"]["init_args"]["synthesis"]["chart"]["size"] == config.ground_size
    assert diffusion["model"]["init_args"]["tokenizer"] == tokenizer["trainer"]["default_root_dir"] + "/weights"


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_stable_diffusion_is_trained_in_latent_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its layout, narrowed; a checkpoint leaves out what is frozen, and goes on."""
    pytest.importorskip("diffusers", reason="needs defusion[pretrained]")
    folder = source(SD15, tmp_path / "source")
    Tokenizer(TokenizerConfig(256, channels=(16, 16, 16, 16), token_channels=256)).save(tmp_path / "tokenizer")
    model = "--model.init_args.model"
    arguments = [
        *small(tmp_path / "run"),
        *("--model.init_args.tokenizer", str(tmp_path / "tokenizer"), f"{model}.prompt", ""),
        *(f"{model}.unet.source", str(folder), f"{model}.autoencoder.source", str(folder)),
        *(
            "--trainer.fast_dev_run",
            "false",
            "--trainer.limit_val_batches",
            "1",
            "--data.init_args.steps_per_epoch",
            "2",
        ),
        *("--trainer.log_every_n_steps", "1", "--trainer.max_steps", "2"),
    ]
    fit(monkeypatch, "diffusion/sd15.yaml", *arguments)
    last = tmp_path / "run/checkpoints/last.ckpt"
    state = torch.load(last, weights_only=True)
    assert any(name.startswith("model.unet.bridge.") for name in state["state_dict"])
    for name in (*state["state_dict"], *state["current_model_state"]):
        assert not name.startswith("model.autoencoder."), name
        assert ".network." not in name or ".processor." in name or ".modulation." in name, name
    fit(
        monkeypatch,
        "diffusion/sd15.yaml",
        *arguments[:-1],
        "3",
        "--ckpt_path",
        str(tmp_path / "run/checkpoints/last.ckpt"),
    )
    assert Defusion.load(tmp_path / "run/weights").autoencoder is not None


def test_a_dry_run_takes_a_step_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Tokenizer(TokenizerConfig(**settings("tokenizer/nano.yaml")["model"]["init_args"]["config"])).save(tmp_path / "t")
    arguments = [*small(tmp_path / "run"), "--trainer.fast_dev_run", "false", "--dry_run", "true"]
    arguments += ["--trainer.max_steps", "54321"]
    fit(monkeypatch, "diffusion/nano.yaml", *arguments, "--model.init_args.tokenizer", str(tmp_path / "t"))
    printed = capsys.readouterr().out
    assert "What this training costs" in printed
    assert "54,321" in printed, "the steps of the training, not those of the dry run"
    assert "one step was taken; nothing was written" in printed
    assert not list((tmp_path / "run").rglob("*.ckpt"))
    assert not (tmp_path / "run" / "weights").exists()
    with pytest.raises(ValueError, match=r"no such folder or file|not found"):
        fit(
            monkeypatch,
            "diffusion/nano.yaml",
            *arguments,
            *("--model.init_args.tokenizer", str(tmp_path / "t"), "--data.init_args.data", str(tmp_path / "nowhere")),
        )
