"""In which ways the networks of the study are measured."""

from dataclasses import dataclass

from defusion.degradations.standard import MID_SEVERITY
from defusion.diffusion.sampler import Sampler
from defusion.evaluation.benchmarks import Synthesis
from defusion.instruction import InstructionKind
from defusion.study.claims import GENERALISING, REFERENCE
from defusion.study.plan import Run

TASKS = ("rain", "snow", "haze")


@dataclass(frozen=True)
class Way:
    """One way to measure a network.

    Attributes:
        name: of the measurement.
        steps: network evaluations.
        sampler: of the diffusion.
        instruction: what is shown: the degradations by name, at mid severity, or with each picture's own parameters.
        severity: of each degradation, in [0, 1].
        tasks: degradations and composites, in the order they act.
        lpips: whether LPIPS is taken too, where it is wanted.
    """

    name: str
    steps: int = 1
    sampler: Sampler = "ddim"
    instruction: InstructionKind = "type-matched"
    severity: float = MID_SEVERITY
    tasks: tuple[str, ...] = TASKS
    lpips: bool = True

    @property
    def synthesis(self) -> Synthesis:
        """How pictures are degraded."""
        return Synthesis("standard", severity=self.severity)


MAIN = Way("main")

GENERAL = (
    *(Way(f"severity-{severity}", severity=severity, lpips=False) for severity in (0.1, 1.0)),
    Way("composites-3", tasks=("rain+snow+haze",), lpips=False),
)
"""Of the networks whose generalisation is compared by their gain: outside of the training."""

WAYS = (
    MAIN,
    *(Way(f"steps-{steps}", steps) for steps in (1, 2, 4, 10, 50)),
    *(Way(f"sde-{steps}", steps, "sde") for steps in (2, 4, 10, 50)),  # whose single step is that of DDIM
    *(Way(f"severity-{severity}", severity=severity) for severity in (0.2, 0.8)),
    *(
        Way(f"parameter-matched-{severity}", instruction="parameter-matched", severity=severity)
        for severity in (0.2, MID_SEVERITY, 0.8)
    ),
    *(
        Way(f"parameter-matched-{severity}", instruction="parameter-matched", severity=severity, lpips=False)
        for severity in (0.1, 1.0)
    ),
    Way("composites-2", tasks=("rain+haze", "snow+haze", "rain+snow"), lpips=False),
    *GENERAL,
)
"""Of the reference."""


def ways_of(run: Run) -> tuple[Way, ...]:
    """All ways for the reference, those of the generalisation where it is compared, the main one for any other."""
    name = run.variant.name
    if name == REFERENCE:
        return WAYS
    return (MAIN, *GENERAL) if name in GENERALISING or name in GENERALISING.values() else (MAIN,)
