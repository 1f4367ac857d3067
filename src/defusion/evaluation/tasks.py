"""What `TASK=` may name: a test set, a group of them, or a degradation of clean pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from defusion.degradations.library import NAMES, composites, parse
from defusion.degradations.standard import MID_SEVERITY, NOISE_SIGMA
from defusion.evaluation.benchmarks import BENCHMARKS, GROUPS, Benchmark, Synthesis
from defusion.instruction import NULL
from defusion.layouts import Layout

SYNTHETIC: Mapping[str, tuple[str, ...]] = {
    "synthetic": NAMES,
    "composites2": tuple(map("+".join, composites(2)[::4])),
    "composites3": tuple(map("+".join, composites(3)[::9])),
}
"""Groups of degradations of clean pictures: the eleven; twelve composites of two, and of three, that hold them all."""


_CLEAN = Benchmark(
    NULL,
    NULL,
    "clean pictures as they are",
    "",
    "any",
    None,
    (Layout("{name}"),),
    (),
    synthesis=Synthesis("standard"),
    note="input and reference are equal: PSNR counts as 100 dB",
)


class MissingDataError(FileNotFoundError):
    """A test set that was asked for is not there; the message says how to go on."""


def find_tasks(name: str) -> tuple[Benchmark, ...]:
    """The test sets of that name: one, or those of a group; "NH-HAZE" finds "nh_haze".

    A degradation or composite ("snow", "rain+noise") is that of clean pictures, and "clean" leaves them as they are;
    where a test set bears the same name ("raindrop"), the test set is meant, and `stand_in` gives the degradation.

    Raises:
        ValueError: for an unknown name, with the nearest ones.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in BENCHMARKS:
        return (BENCHMARKS[plain],)
    if plain in GROUPS:
        return tuple(BENCHMARKS[member] for member in GROUPS[plain])
    if plain in SYNTHETIC:
        return tuple(map(degradation, SYNTHETIC[plain]))
    if "+" in plain or plain in NAMES:
        return (degradation(plain),)
    if plain == NULL:
        return (_CLEAN,)
    known = (*NAMES, NULL, *BENCHMARKS, *GROUPS, *SYNTHETIC)
    near = get_close_matches(plain, known, n=3, cutoff=0.5) or known
    raise ValueError(
        f"unknown task {name!r}: did you mean {', '.join(near)}? A task is a test set or a group of them "
        '(`defusion tasks` lists them), a degradation, or some joined by "+" ("rain+noise").'
    )


def degradation(spec: str, severity: float | None = None) -> Benchmark:
    """The standard degradation "rain+noise" of clean pictures, as a test set without a home.

    Args:
        spec: degradations joined by "+", in the order they act.
        severity: of each, in [0, 1]; mid severity (noise: sigma 25) when not given. The type-matched instruction
            shows mid severity all the same: a user knows the kind, rarely the strength.

    Raises:
        ValueError: for an unknown name.
    """
    spec = parse(spec).name
    strengths = [
        f"{member} (Gaussian, sigma {NOISE_SIGMA:g})"
        if member == "noise" and severity is None
        else f"{member} ({MID_SEVERITY if severity is None else severity:g})"
        for member in spec.split("+")
    ]
    return Benchmark(
        spec,
        spec,
        f"{', then '.join(strengths)} on clean pictures",
        "",
        "any",
        None,
        (Layout("{name}"),),
        (),
        synthesis=Synthesis("standard", severity=severity),
        note="the severity is in brackets; the type-matched instruction shows mid severity, by another draw",
    )


def stand_in(benchmark: Benchmark) -> Benchmark:
    """The synthetic stand-in of a test set: its task as a degradation of clean pictures, scored by its protocol."""
    own = degradation(benchmark.task if "{" not in benchmark.task else "haze+rain")
    title = f"stand-in for {benchmark.title}: {own.title}"
    return replace(own, name=benchmark.name, title=title, protocol=benchmark.protocol)


def is_synthetic(benchmark: Benchmark) -> bool:
    """Whether its pictures are any clean ones, degraded: it has no home."""
    return not benchmark.home


def explain(benchmark: Benchmark, found: str = "no data was given") -> str:
    """What a test set needs, where it comes from, how it is laid out, and what runs without it.

    Args:
        benchmark: the test set.
        found: what is there instead.
    """
    if is_synthetic(benchmark):
        return "\n".join(
            (
                f"Task {benchmark.name}: {found}.",
                f"  Is        {benchmark.title}",
                f"  Run       make eval TASK={benchmark.name}   (embedded photographs; DATA=DIR: your clean ones)",
                f"  Protocol  {benchmark.protocol.describe()}",
                f"  Note      {benchmark.note}",
            )
        )
    count = f"{benchmark.count} pictures" if benchmark.count else "pictures"
    lines = [
        f"Task {benchmark.name}: {found}.",
        f"  Needs     {benchmark.title}: {count}, {benchmark.size}",
        f"  From      {benchmark.home} (licence: {benchmark.licence})",
        *_layout_lines(benchmark),
        f"  Run       make eval TASK={benchmark.name} DATA=DIR   (its folder, or one that holds it as "
        f"{' or '.join(benchmark.folders)})",
        f"  Protocol  {benchmark.protocol.describe()}",
    ]
    if benchmark.note:
        lines.append(f"  Note      {benchmark.note}")
    lines.append(f"  Stand-in  make eval TASK={benchmark.name} STANDIN=1   (synthetic, no download)")
    return "\n".join(lines)


def listing(members: Sequence[Benchmark] = ()) -> Group:
    """Test sets, a row each, for a rich console of 80 columns: those of a group, or all of them and the groups."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("task", "test set", "images", "input", "PSNR", "SSIM"):
        table.add_column(column, justify="right" if column == "images" else "left", no_wrap=column != "test set")
    for own in members or BENCHMARKS.values():
        made = f"{own.synthesis.kind} {own.synthesis.level or ''}".strip() if own.synthesis else "pairs"
        title = own.title if is_synthetic(own) else own.title.split(" (")[0].split(", ")[0]
        count = str(own.count or ("any" if is_synthetic(own) else "not fixed"))
        name = f"{own.name} (STANDIN=1)" if is_synthetic(own) and own.name in BENCHMARKS else own.name
        table.add_row(name, title, count, made, own.protocol.psnr.upper(), own.protocol.ssim.upper())
    if members:
        return Group(table, Text("`defusion tasks NAME` explains one."))
    named = {name: members for name, members in GROUPS.items() if name != "all"} | {"all": ("every test set",)}
    groups = "\n".join(f"{name}: {' '.join(members)}" for name, members in (named | dict(SYNTHETIC)).items())
    return Group(
        table,
        Text(f"Groups\n{groups}\n"),
        Text("Composites of degradations are tasks too: rain+noise. `defusion tasks NAME` explains one."),
    )


def missing(absent: Sequence[Benchmark]) -> str:
    """Where the test sets that were not found come from: a line each home."""
    homes: dict[tuple[str, str], list[str]] = {}
    for own in absent:
        homes.setdefault((own.home, own.folders[0]), []).append(own.name)
    lines = [f"  {' '.join(names)} (as {folder}): {home}" for (home, folder), names in homes.items()]
    return "\n".join(["Not found, and where they come from:", *lines])


def _layout_lines(benchmark: Benchmark) -> list[str]:
    lines = []
    for number, layout in enumerate(benchmark.layouts):
        head = "  Layout    " if number == 0 else "         or "
        made = "" if layout.input else "   (the input is synthesised)"
        lines.append(f"{head}DIR/{layout}{made}")
    return lines
