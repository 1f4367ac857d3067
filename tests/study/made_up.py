"""Scores that no network had: of known means, and of noise that is the photographs' and the seeds' own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from defusion.study.claims import GENERALISING, PEERS, UNGATED, VARIANTS
from defusion.study.scores import CurvePoint, ImageScore, Measurement, Provenance, Scores

WEATHER = ("rain", "haze", "snow")


def measurement(
    name: str = "main",
    level: float = 30.0,
    seed: int = 0,
    tasks: Sequence[str] = WEATHER,
    photographs: int = 12,
    seed_noise: float = 0.3,
    lpips: float | None = 0.1,
    severity: float = 0.5,
) -> Measurement:
    """PSNR is `level`, 1 dB more under each further task, and the photograph's own ease, equal for all measurements."""
    ease = np.random.default_rng(0).normal(0, 2, photographs)
    noise = np.random.default_rng([seed, int(1000 * level), *map(ord, name)]).normal(
        0, seed_noise, (len(tasks), photographs)
    )
    images = []
    for place, task in enumerate(tasks):
        for number in range(photographs):
            psnr = float(level + place + ease[number] + noise[place, number])
            restored, given = {"psnr": psnr, "ssim": psnr / 40}, {"psnr": float(20 + ease[number]), "ssim": 0.5}
            if lpips is not None:
                restored["lpips"], given["lpips"] = float(lpips + noise[place, number] / 40), 0.4
            images.append(ImageScore(task=task, name=f"photo{number}", input=given, restored=restored))
    return Measurement(name, "type-matched", "ddim", 1, severity, tuple(images))


def scores(variant: str = "full", seed: int = 0, level: float = 30.0, **changes: object) -> Scores:
    """A run with its main measurement and a curve that ends at `level` - 26 dB."""
    own = measurement(level=level, seed=seed, **changes)  # type: ignore[arg-type]
    curve = tuple(CurvePoint(100.0 * part, (level - 26 + 0.1 * seed) * (1 - 2.0**-part)) for part in range(1, 7))
    return Scores(
        variant=variant,
        seed=seed,
        parameters=1_892_512,
        train_steps=1500,
        train_seconds=600.0 + seed,
        tokenizer_seconds=None if variant in PEERS else 150.0,
        curve=curve,
        measurements=(own,),
        provenance=Provenance(data="`photos`", crop=64, batch=16, optimiser="muon", size=256, device="a made-up CPU"),
    )


def study() -> list[Scores]:
    """All variants and peers with three seeds; the reference with all its measurements."""
    levels = {variant: 29.0 + 0.05 * place for place, variant in enumerate(VARIANTS)}
    levels |= {"full": 30.0, "no_gate": 30.0, "label": 30.4, "continuous": 29.995} | dict.fromkeys(PEERS, 28.0)
    runs = []
    for seed in range(3):
        for variant, level in levels.items():
            own = scores(variant, seed, level)
            more = _general(seed, level) if variant in {"full", UNGATED, *GENERALISING} else []
            more += [*_steps(seed), *_inside(seed)] if variant == "full" else []
            runs.append(replace(own, measurements=(*own.measurements, *more)))
    return runs


def _general(seed: int, level: float) -> list[Measurement]:
    """Whoever is worse by any dB is so by twice as many outside of the training."""
    return [
        measurement("severity-0.1", 30.9 + 2 * (level - 30), seed, severity=0.1),
        measurement("severity-1.0", 28 + 2 * (level - 30), seed, severity=1.0),
        measurement("composites-3", 24 + 2 * (level - 30), seed, ("rain+snow+haze",)),
    ]


def _steps(seed: int) -> list[Measurement]:
    samplers = [("ddim", "steps", (1, 2, 4, 10, 50)), ("sde", "sde", (2, 4, 10, 50))]
    return [
        replace(
            measurement(f"{name}-{count}", 30 - 0.3 * np.log(count), seed, lpips=0.1 - 0.015 * float(np.log(count))),
            sampler=sampler,
            steps=count,
        )
        for sampler, name, counts in samplers
        for count in counts
    ]


def _inside(seed: int) -> list[Measurement]:
    """Of the reference alone: a parameter-matched instruction is worth 0.5 dB at 0.8 and 1, nothing at 0.5."""
    composites = measurement("composites-2", 26, seed, ("rain+haze", "snow+haze"))
    typed = [measurement(f"severity-{own}", 31 - own, seed, severity=own) for own in (0.2, 0.8)]
    matched = [(0.2, 30.9, 0.1), (0.5, 30.0, 0.1), (0.8, 30.7, 0.1), (1.0, 28.5, None)]
    return [
        composites,
        *typed,
        *(
            replace(
                measurement(f"parameter-matched-{own}", level, seed, severity=own, lpips=lpips),
                instruction="parameter-matched",
            )
            for own, level, lpips in matched
        ),
    ]
