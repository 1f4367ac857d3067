"""Scores that no network had: of known means, and of noise that is the photographs' and the seeds' own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from defusion.study.claims import CLAIMS, PEERS
from defusion.study.scores import CurvePoint, ImageScore, Measurement, Scores

WEATHER = ("rain", "haze", "snow")


def measurement(
    name: str = "main",
    level: float = 30.0,
    seed: int = 0,
    tasks: Sequence[str] = WEATHER,
    photographs: int = 12,
    seed_noise: float = 0.3,
    lpips: float | None = 0.1,
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
    return Measurement(name, "type-matched", "ddim", 1, tuple(images))


def scores(variant: str = "full", seed: int = 0, level: float = 30.0, **changes: object) -> Scores:
    """A run with its main measurement and a curve that ends at `level` - 26 dB."""
    own = measurement(level=level, seed=seed, **changes)  # type: ignore[arg-type]
    curve = tuple(CurvePoint(100.0 * part, (level - 26 + 0.1 * seed) * (1 - 2.0**-part)) for part in range(1, 7))
    return Scores(variant, seed, 1_892_512, 1500, 600.0 + seed, curve, (own,))


def study() -> list[Scores]:
    """All variants and peers with three seeds; the reference with all its measurements."""
    runs = []
    for seed in range(3):
        levels = {claim.variant: 29.0 + 0.2 * place for place, claim in enumerate(CLAIMS)}
        levels |= {"no_gate": 30.0, "label": 30.4, "continuous": 29.995} | dict.fromkeys(PEERS, 28.0)
        runs += [scores(variant, seed, level) for variant, level in levels.items()]
        full = scores("full", seed, 30.0)
        samplers = [("ddim", "steps", (1, 2, 4, 10, 50)), ("sde", "sde", (4, 10, 50))]
        steps = [
            replace(
                measurement(
                    f"{name}-{count}", 30 - 0.3 * np.log(count), seed, lpips=0.1 - 0.015 * float(np.log(count))
                ),
                sampler=sampler,
                steps=count,
            )
            for sampler, name, counts in samplers
            for count in counts
        ]
        general = [
            replace(measurement("parameter-matched", 30.3, seed), instruction="parameter-matched"),
            *(measurement(f"severity-{own}", 31 - own, seed) for own in (0.2, 0.8, 1.0)),
            measurement("composites-2", 26, seed, ("rain+haze", "snow+haze")),
            measurement("composites-3", 24, seed, ("rain+snow+haze",)),
        ]
        runs.append(replace(full, measurements=(*full.measurements, *steps, *general)))
    return runs
