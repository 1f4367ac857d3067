"""The tables of the study in GitHub's Markdown; one that nothing was measured for is empty."""

import math
from collections.abc import Iterable, Sequence

from defusion.study.claims import CLAIMS, PAPER_FULL, PEERS, REFERENCE, PaperRow, differs
from defusion.study.results import Results
from defusion.study.scores import Measurement
from defusion.study.statistics import GAIN, Estimate, difference, estimate, tasks_of

_NAMES = {GAIN: "gain", "psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS"}
_DIGITS = {GAIN: 2, "psnr": 2, "ssim": 3, "lpips": 3}
_CHANGE_DIGITS = {GAIN: 2, "psnr": 2, "ssim": 4, "lpips": 4}
STEPS = ("steps-", "sde-")
"""How the names of measurements of the sampling steps begin."""
_MATCHED = "parameter-matched"
_GENERAL = (_MATCHED, "severity-", "composites-")


def ours_table(results: Results) -> str:
    """Each variant, what differs, and its scores, beside the paper's Table 5."""
    variants = [name for name in results.variants if name not in PEERS]
    metrics = [name for name in results.metrics if name != GAIN]
    columns = ["variant", "what differs", "parameters", *results.groups, "paper's Table 5"]
    papers = {claim.variant: claim.paper for claim in CLAIMS} | {REFERENCE: PAPER_FULL}
    rows = []
    for variant in variants:
        cells = []
        for group, tasks in results.groups.items():
            found = {metric: results.estimate(variant, metric, tasks) for metric in metrics}
            if group in results.means:
                cells.append("<br>".join(interval(own, metric) for metric, own in found.items()))
            else:
                cells.append(" / ".join(plain(own.value, metric) for metric, own in found.items()))
        rows.append([variant, differs(variant), _parameters(results, variant), *cells, _paper(papers.get(variant))])
    return table(columns, rows, left=2)


def claims_table(results: Results) -> str:
    """Each claim, the difference that tests it, and what it says of the claim, by each metric."""
    metrics = [name for name in results.metrics if name != GAIN]
    columns = ["claim", "variant less reference", "paper, PSNR", "mean over", *(_NAMES[name] for name in metrics)]
    rows = []
    for claim in results.tested:
        published = "" if claim.paper is None else f"{claim.paper.psnr - PAPER_FULL.psnr:+.2f}"
        for group, tasks in results.means.items():
            found = [results.difference(claim.variant, claim.reference, metric, tasks) for metric in metrics]
            cells = [f"{change(own, name)}<br>{verdict(own, name)}" for own, name in zip(found, metrics, strict=True)]
            rows.append([claim.statement, f"{claim.variant} - {claim.reference}", published, group, *cells])
    return table(columns, rows, left=2)


def steps_table(results: Results) -> str:
    """The reference's sampling steps, each beside one step."""
    metrics = [name for name in results.metrics if name != GAIN]
    first = results.measured(REFERENCE, "steps-1")
    rows = []
    for name in results.named(*STEPS):
        seeds = results.measured(REFERENCE, name)
        tasks, own = tasks_of(seeds), _any(seeds.values())
        cells = [interval(estimate(seeds, metric, tasks), metric) for metric in metrics]
        less = change(difference(seeds, first, "psnr", tasks), "psnr") if first and name != "steps-1" else ""
        rows.append([own.sampler.upper(), str(own.steps), *cells, less])
    return table(["sampler", "steps", *(_NAMES[name] for name in metrics), "PSNR less that of one step"], rows, left=1)


def instructions_table(results: Results) -> str:
    """The reference under instructions that know more, and on pictures that training did not have."""
    columns = ["measured", "instruction", "tasks", *(_NAMES[name] for name in results.metrics), "gain less main"]
    main = results.measured(REFERENCE)
    rows = []
    for name in ("main", *results.named(*_GENERAL)):
        seeds = results.measured(REFERENCE, name)
        if not seeds:
            continue
        tasks = tasks_of(seeds)
        cells = [interval(estimate(seeds, metric, tasks), metric) for metric in results.metrics]
        less = change(difference(seeds, main, GAIN, tasks), GAIN) if _comparable(name, tasks, tasks_of(main)) else ""
        rows.append([name, _any(seeds.values()).instruction, ", ".join(tasks), *cells, less])
    return table(columns, rows, left=3) if len(rows) > 1 else ""


def peers_table(results: Results) -> str:
    """Networks of equal size beside the reference."""
    names = [name for name in (REFERENCE, *PEERS) if name in results.variants]
    if len(names) < 2:
        return ""
    means = list(results.means.items())
    columns = ["network", "what it is", "parameters", "steps", "seconds"]
    columns += [f"gain, {group}" for group, _ in means] + [f"less {REFERENCE}, {group}" for group, _ in means]
    rows = []
    for name in names:
        runs = results.variants[name].values()
        seconds = sum(own.train_seconds for own in runs) / len(runs)
        steps = sum(own.train_steps for own in runs) / len(runs)
        gains = [interval(results.estimate(name, GAIN, tasks), GAIN) for _, tasks in means]
        compared = name != REFERENCE and REFERENCE in results.variants
        less = [change(results.difference(name, REFERENCE, GAIN, own), GAIN) if compared else "" for _, own in means]
        numbers = [_parameters(results, name), f"{steps:,.0f}", f"{seconds:,.0f}"]
        rows.append([name, differs(name) if name != REFERENCE else "the whole method", *numbers, *gains, *less])
    return table(columns, rows, left=2)


def verdict(own: Estimate, metric: str) -> str:
    """What a difference, variant less reference, says of the claim that the variant restores worse.

    By whether the interval over photographs excludes zero; one that is no larger than the spread over seeds is
    called so.
    """
    if not own.differs:
        return "no difference seen"
    worse = own.value > 0 if metric == "lpips" else own.value < 0
    within = own.spread is not None and abs(own.value) <= own.spread
    return ("supported" if worse else "contradicted") + (", within the spread of seeds" if within else "")


def interval(own: Estimate, metric: str) -> str:
    """ "30.12 [29.80, 30.41] ± 0.05": value, 95% interval over photographs, spread over seeds."""
    return _with_chance(own, [plain(number, metric) for number in (own.value, own.low, own.high)], _DIGITS[metric])


def change(own: Estimate, metric: str) -> str:
    """As `interval`, of a difference: with signs, and a digit more of SSIM and LPIPS."""
    digits = _CHANGE_DIGITS[metric]
    return _with_chance(own, [f"{number:+.{digits}f}" for number in (own.value, own.low, own.high)], digits)


def plain(number: float, metric: str) -> str:
    """With the metric's digits; gains have a sign."""
    return f"{number:+.{_DIGITS[metric]}f}" if metric == GAIN else f"{number:.{_DIGITS[metric]}f}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """GitHub's Markdown, the first columns to the left and the others to the right; "" without rows."""
    if not rows:
        return ""
    rule = ["---" if place < left else "---:" for place in range(len(columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))


def _with_chance(own: Estimate, texts: Sequence[str], digits: int) -> str:
    value, low, high = texts
    known = f" [{low}, {high}]" if math.isfinite(own.low) else ""
    return value + known + ("" if own.spread is None else f" ± {own.spread:.{digits}f}")


def _comparable(name: str, tasks: Sequence[str], main: Sequence[str]) -> bool:
    """Whether it was measured on the very pictures of "main"."""
    return name == _MATCHED and set(tasks) == set(main)


def _any(measurements: Iterable[Measurement]) -> Measurement:
    return next(iter(measurements))


def _parameters(results: Results, variant: str) -> str:
    first = next(iter(results.variants[variant].values()))
    return f"{first.parameters / 1e6:.2f} M"


def _paper(row: PaperRow | None) -> str:
    return "" if row is None else f"{row.psnr:.2f} / {row.ssim:.3f} / {row.lpips:.3f}"
