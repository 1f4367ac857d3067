"""The tables of the study; one that nothing was measured for is empty."""

from collections.abc import Sequence
from statistics import fmean

from defusion.study.cells import HEADS, change, interval, judged, plain, ratio, table
from defusion.study.claims import COMPOSITES, GENERALISING, PAPER, PEERS, REFERENCE, SEVERITIES, UNGATED, differs
from defusion.study.results import Results
from defusion.study.scores import Measurement, Scores
from defusion.study.statistics import GAIN

STEPS = ("steps-", "sde-")
"""How the names of measurements of the sampling steps begin."""

_TASKS = {"rain": "derain", "haze": "dehaze", "snow": "desnow"}
_MATCHED = "parameter-matched-"
_GENERAL = ("severity-", "composites-")


def ours_table(results: Results) -> str:
    """Each variant, what differs, and its scores, beside the paper's Table 5."""
    heads = [HEADS[metric] for metric in results.metrics]
    single = [f"{_TASKS.get(task, task)}: {' / '.join(heads)}" for task in results.tasks]
    columns = ["variant", "what differs", "parameters", "seeds", *single, f"mean: {'<br>'.join(heads)}"]
    rows = []
    for variant in (name for name in results.variants if name not in PEERS):
        cells = []
        for task in results.tasks:
            means = [results.values(variant, metric, (task,)).estimate().value for metric in results.metrics]
            cells.append(" / ".join(map(plain, means, results.metrics)))
        whole = (interval(results.values(variant, metric).estimate(), metric) for metric in results.metrics)
        row = PAPER.get(variant)
        paper = "" if row is None else f"{row.psnr:.2f} / {row.ssim:.3f} / {row.lpips:.3f}"
        rows.append([variant, differs(variant), *_size(results, variant), *cells, "<br>".join(whole), paper])
    return table([*columns, "paper's Table 5: PSNR, dB / SSIM / LPIPS"], rows, left=2)


def claims_table(results: Results) -> str:
    """Each claim, the difference that tests it, and what it says of the claim, by each metric."""
    heads = (HEADS[metric] for metric in results.metrics)
    columns = ["claim", "variant less reference", "seeds", "paper: variant less full, PSNR, dB", *heads]
    rows = []
    for claim in results.tested:
        row = PAPER.get(claim.variant)
        published = "" if row is None else f"{row.psnr - PAPER[REFERENCE].psnr:+.2f}"
        found = [results.difference(claim.variant, claim.reference, metric) for metric in results.metrics]
        cells = map(judged, found, results.metrics)
        names = f"{claim.variant} - {claim.reference}"
        rows.append([claim.statement, names, str(found[0].number), published, *cells])
    return table(columns, rows, left=2)


def steps_table(results: Results) -> str:
    """The reference's sampling steps, each beside one step."""
    rows = []
    for name in results.named(REFERENCE, *STEPS):
        own = _first(results, REFERENCE, name)
        found = {metric: results.values(REFERENCE, metric, name=name) for metric in results.metrics}
        cells = [interval(of.estimate(), metric) for metric, of in found.items()]
        less = ""
        if name != "steps-1" and results.comparable(REFERENCE, REFERENCE, "steps-1"):
            less = change((found["psnr"] - results.values(REFERENCE, "psnr", name="steps-1")).estimate(), "psnr")
        seeds = str(len(results.measured(REFERENCE, name)))
        rows.append([own.sampler.upper(), str(own.steps), seeds, *cells, less])
    heads = (HEADS[metric] for metric in results.metrics)
    return table(["sampler", "steps", "seeds", *heads, "PSNR less that of one step, dB"], rows, left=1)


def matched_table(results: Results) -> str:
    """The reference under type-matched and under parameter-matched instructions, severity by severity."""
    rows = []
    for name in results.named(REFERENCE, _MATCHED):
        severity = _first(results, REFERENCE, name).severity
        typed = "main" if severity == _first(results, REFERENCE, "main").severity else f"severity-{severity}"
        if not results.measured(REFERENCE, typed):
            continue
        cells = [interval(results.values(REFERENCE, GAIN, name=own).estimate(), GAIN) for own in (typed, name)]
        for metric in results.metrics:
            if metric not in _first(results, REFERENCE, name).metrics:
                cells.append("")
                continue
            less = results.values(REFERENCE, metric, name=typed) - results.values(REFERENCE, metric, name=name)
            cells.append(judged(less.estimate(), metric))
        rows.append([f"{severity}", str(len(results.measured(REFERENCE, name))), *cells])
    less_heads = (f"type- less parameter-matched: {HEADS[metric]}" for metric in results.metrics)
    columns = ["severity", "seeds", "type-matched: gain, dB", "parameter-matched: gain, dB", *less_heads]
    return table(columns, rows, left=1)


def generalising_table(results: Results) -> str:
    """Networks inside and outside of what they were trained on, each beside its reference."""
    columns = ["measured", "", "network", "reference", "seeds", "gain, dB", "gain less the reference's, dB"]
    rows = []
    for name in ("main", *results.named(REFERENCE, *_GENERAL)):
        for network in (REFERENCE, UNGATED, *GENERALISING):
            if not results.measured(network, name):
                continue
            own = _first(results, network, name)
            inside, reference = _is_inside(own), GENERALISING.get(network, "")
            compared = bool(reference) and results.comparable(network, reference, name)
            less = change(results.difference(network, reference, GAIN, name), GAIN) if compared else ""
            both = compared and not inside and results.comparable(network, reference)
            cells = [less, judged(results.change(network, reference, name), GAIN) if both else ""]
            gain = interval(results.values(network, GAIN, name=name).estimate(), GAIN)
            place = "in training" if inside else "outside"
            seeds = str(len(results.measured(network, name)))
            rows.append([_condition(own), place, network, reference, seeds, gain, *cells])
    columns += ["the same less that of the first rows, dB"]
    return table(columns, rows, left=4) if len({row[0] for row in rows}) > 1 else ""


def peers_table(results: Results) -> str:
    """Networks of about equal size beside the reference."""
    names = [name for name in (REFERENCE, *PEERS) if name in results.variants]
    if not set(names) & set(PEERS):
        return ""
    whole = _runs(results, REFERENCE)
    seconds, size = (fmean(own.train_seconds for own in whole), whole[0].parameters) if whole else (None, None)
    tokenizer = tokenizer_seconds(results)
    both = None if seconds is None or tokenizer is None else seconds + tokenizer
    rows = []
    for name in names:
        runs = _runs(results, name)
        own = fmean(run.train_seconds for run in runs)
        steps = fmean(run.train_steps for run in runs)
        compared = name != REFERENCE and results.comparable(name, REFERENCE)
        relative = f" ({runs[0].parameters / size - 1:+.1%})" if compared and size else ""
        times = [ratio(own, seconds), ratio(own, both)] if compared else ["", ""]
        gain = interval(results.values(name, GAIN).estimate(), GAIN)
        less = change(results.difference(name, REFERENCE, GAIN), GAIN) if compared else ""
        parameters, seeds = _size(results, name)
        words = "the whole method" if name == REFERENCE else differs(name)
        rows.append([name, words, parameters + relative, seeds, f"{steps:,.0f}", f"{own:,.0f}", *times, gain, less])
    columns = ["network", "what it is", "parameters", "seeds", "steps", "training, s", f"ratio to {REFERENCE}"]
    columns += [f"ratio to {REFERENCE} with its tokenizer", "gain, dB", f"gain less that of {REFERENCE}, dB"]
    return table(columns, rows, left=2)


def tokenizer_seconds(results: Results) -> float | None:
    """Of the training of the reference's tokenizer; None where it was not timed."""
    found = [own.tokenizer_seconds for own in _runs(results, REFERENCE) if own.tokenizer_seconds is not None]
    return fmean(found) if found else None


def _is_inside(own: Measurement) -> bool:
    """Whether pictures like these come in the trainings."""
    members = max(len(image.task.split("+")) for image in own.images)
    return SEVERITIES[0] <= own.severity <= SEVERITIES[1] and members <= COMPOSITES


def _condition(own: Measurement) -> str:
    tasks = dict.fromkeys(image.task for image in own.images)
    return f"severity {own.severity}: {', '.join(tasks)}"


def _first(results: Results, variant: str, name: str) -> Measurement:
    return next(iter(results.measured(variant, name).values()))


def _runs(results: Results, variant: str) -> Sequence[Scores]:
    return list(results.variants.get(variant, {}).values())


def _size(results: Results, variant: str) -> list[str]:
    """Parameters and the number of seeds."""
    runs = _runs(results, variant)
    return [f"{runs[0].parameters / 1e6:.2f} M", str(len(runs))]
