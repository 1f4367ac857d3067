"""What the report says in words: on what its numbers rest, and how to read them."""

from collections.abc import Iterable

from defusion.study.cells import EQUAL
from defusion.study.claims import PEERS, REFERENCE
from defusion.study.results import Results
from defusion.study.statistics import photographs
from defusion.study.tables import tokenizer_seconds

STEPS = (
    "One step is the same for both samplers by construction: it is measured once, and in the figure both curves begin "
    "there."
)

MATCHED = (
    "Type-matched: the chart shows the degradation by its type, at severity 0.5 whatever the picture's; "
    "parameter-matched: with the picture's own parameters. Here a claim is tested too: supported where the "
    "type-matched instruction restores worse. Severities below 0.2 and above 0.8 are outside of the training."
)

GENERALISATION = (
    "In training: severities and composites that the trainings have; outside: others. The last column tests the claim "
    "that a visual instruction generalises better: by how much a network falls further behind its reference outside "
    "than under the first rows; supported where it does. Visual instructions are type-matched here: at severities "
    "other than 0.5 they show a wrong strength, where labels and words show none; what the true one is worth stands in "
    "the table before. Compare networks under one condition, not gains of different conditions: a picture that is "
    "degraded less leaves less to gain."
)

_UNRECORDED = "(not recorded)"


def provenance(results: Results) -> str:
    """On what the numbers rest."""
    runs = results.runs
    ours = [own for own in runs if own.variant not in PEERS]
    names = photographs(results.measured(next(iter(results.variants))))
    data = _joined(own.provenance.data for own in runs)
    seeds = sorted({own.seed for own in runs})
    size = _joined(own.provenance.size for own in runs)
    steps = _joined(f"{own.train_steps:,}" for own in ours or runs)
    code = {own.provenance.code for own in runs}
    if code == {None}:
        trained = "The code that trained was not recorded."
    else:
        changed = "" if len(code) == 1 else " (which changed between the trainings)"
        trained = f"The digest of the code that trained{changed}: {_joined(sorted(code, key=str))}."
    return (
        f"Trained on {data}: {steps} steps of {_joined(own.provenance.batch for own in runs)} samples, crops of "
        f"{_joined(own.provenance.crop for own in runs)} px, optimiser "
        f"{_joined(own.provenance.optimiser for own in runs)} with a learning rate of "
        f"{_joined(own.provenance.learning_rate for own in runs)} at most, weights averaged with a decay of "
        f"{_joined(own.provenance.averaging for own in runs)}; seeds {', '.join(map(str, seeds))}. Measured on "
        f"{len(names)} photographs under {', '.join(results.tasks)} at severity 0.5, squares of at most {size} px from "
        f"their middle, on {_joined(own.provenance.device for own in runs)}; where nothing else is said, in one step "
        f"under the type-matched instruction. The photographs: {', '.join(names)}. {trained}"
    )


def reading(results: Results) -> str:
    """How to read the tables."""
    comparisons = len(results.tested) * len(results.metrics)
    without = results.without_lpips
    all_or_some = "" if len(without) == len(results.runs) else f" of all runs (not of {', '.join(without)})"
    lpips = f" LPIPS was not measured{all_or_some}." if without else ""
    return (
        f"Scores are means over seeds, photographs and the tasks ({', '.join(results.tasks)}). [ ]: 95% interval by "
        "Student's t over photographs, of their means over seeds; of differences, photograph by photograph, and beside "
        "it the interval over the seeds that both have, of their means over photographs; ?: unknown, of a single one. "
        "±: standard deviation over seeds. A claim is supported or contradicted where both intervals of the difference "
        "exclude zero, else it is not decided. All seeds share one tokenizer of each kind of ground: what the draw of "
        "its training is worth is in no interval, and the rows that compare grounds, tokens and other instructions "
        f"depend on it. The table of the claims has {comparisons} differences: of twenty such intervals one misses by "
        "chance, and those of the other tables come on top. Higher PSNR and SSIM are better, and lower LPIPS."
        f"{lpips} The paper's rows (Table 5: mean of derain, dehaze and desnow) are of its own data, size and test "
        "sets: compare the signs and the order of differences alone."
    )


def peers(results: Results) -> str:
    """What is equal between the reference and its peers, and what is not."""
    seconds = tokenizer_seconds(results)
    tokenizer = "was not timed" if seconds is None else f"took {seconds:,.0f} s"
    return (
        f"Peers were given the steps that take the training time of {REFERENCE}, by the median step of each, timed "
        "before any peer was trained; the times below are by the clock, with whatever else the machine did "
        f"meanwhile, and a ratio beyond {EQUAL:.0%} is marked as not equal. The training of the tokenizer, which "
        f"{REFERENCE} needs and peers do not, {tokenizer} and is counted in the second ratio alone. The samples of "
        "all are the same, with charts that peers do not look at: the time of making them, which was not measured,"
        " counts for all. All use the optimiser, the learning rate, the warm-up and the averaging that were chosen"
        " on our U-Net: in few steps the last two weigh more. Peers are shown nothing of the degradation, which "
        f"{REFERENCE} is. NAFNet, whose attention pools over the whole picture, is measured as it was published "
        "first, without the local pooling that makes up for crops (TLC). The curves are of few validation "
        "pictures, and say how fast each learns; how well is in the table."
    )


def _joined(values: Iterable[object]) -> str:
    """Different values, in the order they come; None is said to be not recorded."""
    return " or ".join(dict.fromkeys(_UNRECORDED if own is None else str(own) for own in values))
