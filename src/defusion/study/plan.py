"""What the ablation study trains: variants, read from the files of what differs, each with several seeds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from defusion.study.claims import CLAIMS, PEERS, REFERENCE
from defusion.study.timing import WARM_UP
from defusion.types import GroundKind

VALIDATIONS = 8
"""Points of a learning curve: validation follows every eighth of a run."""

TIMED_STEPS = 60
"""Steps whose time is taken, after those of warm-up."""

_BASE = Path("ablation/base.yaml")
_SHARED = {"base", "tokenizer"}
_ORDER = (REFERENCE, *(claim.variant for claim in CLAIMS), *PEERS)


@dataclass(frozen=True)
class Training:
    """One training, `defusion train fit` in a folder of its own.

    Attributes:
        title: what it is called where it is shown.
        folder: of its logs, checkpoints and weights.
        files: its experiment, YAML files of which later ones change what earlier ones say.
        values: further settings by their names in these files.
        steps: of the optimiser.
        tokenizer: the training whose weights it uses; None where it uses none.
        start: the training from whose weights it goes on; None for fresh ones.
    """

    title: str
    folder: Path
    files: tuple[Path, ...]
    steps: int
    values: Mapping[str, str] = field(default_factory=dict)
    tokenizer: "Training | None" = None
    start: "Training | None" = None

    @property
    def weights(self) -> Path:
        """Folder of the weights, written when training ends."""
        return self.folder / "weights"

    @property
    def arguments(self) -> list[str]:
        """Of `defusion train`."""
        places = {"trainer.default_root_dir": str(self.folder)}
        if self.tokenizer is not None:
            places["model.init_args.tokenizer"] = str(self.tokenizer.weights)
        if self.start is not None:
            places["model.init_args.start"] = str(self.start.weights)
        settings = self._values() | places
        configs = [word for file in self.files for word in ("--config", str(file))]
        return ["fit", *configs, *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def settings(self) -> dict[str, Any]:
        """What says which training it is, as JSON values: with other settings it is another one.

        Photographs count by the place they are at, not by their content: changed photographs at the same place are
        not noticed.
        """
        return {
            "values": self._values(),
            "experiment": [yaml.safe_load(file.read_text(encoding="utf-8")) for file in self.files],
            "tokenizer": None if self.tokenizer is None else self.tokenizer.settings(),
            "start": None if self.start is None else self.start.settings(),
            "release": version("defusion"),
        }

    def _values(self) -> dict[str, str]:
        return {"trainer.max_steps": str(self.steps), **self.values}


@dataclass(frozen=True)
class Variant:
    """One network of the study.

    Attributes:
        name: of its file and its folder.
        file: YAML of what differs.
        ground: kind of the chart that it is instructed on.
        peer: whether it is another network, without instruction.
    """

    name: str
    file: Path
    ground: GroundKind
    peer: bool

    @classmethod
    def read(cls, file: Path) -> "Variant":
        """The variant of a file; those below `peers/` are peers."""
        differs = yaml.safe_load(file.read_text(encoding="utf-8"))
        chart = differs.get("data", {}).get("init_args", {}).get("synthesis", {}).get("chart", {})
        return cls(file.stem, file, chart.get("kind", "te42"), file.parent.name == "peers")


@dataclass(frozen=True)
class Run:
    """One variant, trained with one seed."""

    variant: Variant
    seed: int
    training: Training

    @property
    def scores(self) -> Path:
        """The file of its scores."""
        return self.training.folder / "scores.json"


@dataclass(frozen=True)
class Study:
    """All trainings of the study.

    Attributes:
        data: clean photographs to train on, as `data_modules` names them; None for the embedded ones. What is on the
            disk is the same however its path is written.
        steps: training steps of a variant: the one number by which the study grows.
        seeds: trainings of each variant, with seeds 0, 1, 2...
        experiments: folder of the experiments' YAML files.
        folder: of all studies. Each number of steps has a place of its own in it: `<steps>-steps`, and there
            `<variant>/seed<k>`, `tokenizer-<kind>`, `timing/<variant>`.
    """

    data: str | None
    steps: int
    seeds: int
    experiments: Path = Path("experiments")
    folder: Path = Path("runs/ablation")

    def __post_init__(self) -> None:
        for name in ("steps", "seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not (self.experiments / _BASE).is_file():
            raise ValueError(
                f"experiments: expected a folder with {_BASE}, got {self.experiments}: run this in the repository"
            )

    @property
    def place(self) -> Path:
        """The folder of the trainings of this study's number of steps."""
        return self.folder / f"{self.steps}-steps"

    @property
    def crop_size(self) -> int:
        """Side of the crops of the trainings, in px: photographs smaller than it are left out."""
        base = yaml.safe_load((self.experiments / _BASE).read_text(encoding="utf-8"))
        return int(base["data"]["init_args"]["crop_size"])

    def variants(self, only: Collection[str] = ()) -> tuple[Variant, ...]:
        """The method and its ablations, in the order of the report.

        Args:
            only: names of those wanted; all when empty.

        Raises:
            ValueError: for an unknown name.
        """
        return _chosen(self._read("*.yaml"), only)

    def peers(self, only: Collection[str] = ()) -> tuple[Variant, ...]:
        """The networks beside the method; see `variants`."""
        return _chosen(self._read("peers/*.yaml"), only)

    def _read(self, pattern: str) -> list[Variant]:
        files = (self.experiments / _BASE.parent).glob(pattern)
        found = [Variant.read(file) for file in files if file.stem not in _SHARED]
        order = {name: place for place, name in enumerate(_ORDER)}
        return sorted(found, key=lambda own: (order.get(own.name, len(order)), own.name))

    def runs(self, variants: Collection[Variant], steps: Mapping[str, int] | None = None) -> list[Run]:
        """Every seed of these variants, seed by seed, so that what differs shows early.

        Args:
            variants: those to train.
            steps: of each variant by name; the study's own when not given.
        """
        return [
            Run(own, seed, self._training(own, seed, self.steps if steps is None else steps[own.name]))
            for seed in range(self.seeds)
            for own in variants
        ]

    def tokenizer(self, kind: GroundKind) -> Training:
        """The tokenizer of one kind of ground, trained once for all variants and seeds, two fifths as long."""
        steps = max(1, self.steps * 2 // 5)
        values = {"data.init_args.steps_per_epoch": str(steps)}
        if kind != "te42":
            values |= {"model.init_args.config.ground_kind": kind, "data.init_args.synthesis.chart.kind": kind}
        files = (self.experiments / "base.yaml", self.experiments / _BASE.with_name("tokenizer.yaml"))
        return Training(
            f"tokenizer, {kind}", self.place / f"tokenizer-{kind}", files, steps, values | source(self.data)
        )

    def timing(self, variant: Variant) -> Training:
        """A few steps of a variant in a single epoch, each logged, to learn how long one takes."""
        steps = WARM_UP + TIMED_STEPS
        values = {
            "trainer.limit_val_batches": "0",
            "trainer.log_every_n_steps": "1",
            "data.init_args.steps_per_epoch": str(steps),
        }
        return self._training(variant, 0, steps, self.place / "timing" / variant.name, values)

    def _training(
        self,
        variant: Variant,
        seed: int,
        steps: int,
        folder: Path | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Training:
        seeds = ["seed_everything", "data.init_args.seed", *([] if variant.peer else ["model.init_args.seed"])]
        return Training(
            f"{variant.name}, seed {seed}" if folder is None else f"timing of {variant.name}",
            folder or self.place / variant.name / f"seed{seed}",
            (self.experiments / "base.yaml", self.experiments / _BASE, variant.file),
            steps,
            dict.fromkeys(seeds, str(seed))
            | {"data.init_args.steps_per_epoch": str(max(1, steps // VALIDATIONS))}
            | source(self.data)
            | dict(values or {}),
            None if variant.peer else self.tokenizer(variant.ground),
        )


def source(data: str | None) -> dict[str, str]:
    """The setting of a training that names its photographs; none for the embedded ones."""
    if not data:
        return {}
    path = Path(data)
    return {"data.init_args.data": str(path.resolve()) if path.exists() else data}


def _chosen(variants: list[Variant], only: Collection[str]) -> tuple[Variant, ...]:
    known = [own.name for own in variants]
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise ValueError(f"only: expected names of {', '.join(known)}, got {', '.join(unknown)}")
    return tuple(own for own in variants if not only or own.name in only)
