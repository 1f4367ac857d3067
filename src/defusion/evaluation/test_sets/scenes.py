"""Test sets of mixed degradations and under water."""

from defusion.evaluation.protocol import Protocol
from defusion.evaluation.test_sets.entry import GENERIC, NOT_PUBLIC, Benchmark, Synthesis
from defusion.layouts import Layout

_WED_TEST = tuple(f"{number:05d}" for number in range(4245, 4745))
_ORDERS = (
    ("rain", "noise", "snow"),
    ("rain", "snow", "noise"),
    ("noise", "snow", "rain"),
    ("noise", "rain", "snow"),
    ("snow", "rain", "noise"),
    ("snow", "noise", "rain"),
)


def _wed(*order: str) -> Benchmark:
    return Benchmark(
        f"wed_mixed_{'_'.join(order)}",
        "+".join(order),
        f"Waterloo Exploration Database, {', then '.join(order)} (Ma et al., TIP 2017)",
        "https://kedema.org/project/exploration/",
        "various",
        500,
        (Layout("pristine_images/{name}", only=_WED_TEST), Layout("{name}", only=_WED_TEST), Layout("target/{name}")),
        ("WED", "exploration_database_and_code", "WaterlooExploration"),
        Protocol(),
        synthesis=Synthesis("standard"),
        note=f"{NOT_PUBLIC}, nor are its strengths: ours are pictures 04245 to 04744 at mid severity, "
        "not comparable with the paper's Table 3",
    )


SCENES_SETS = (
    Benchmark(
        "cdd11",
        "{degradation}",
        "CDD-11 (Guo et al., OneRestore, ECCV 2024)",
        "https://github.com/gy65896/OneRestore",
        "1080x720",
        2200,
        (
            Layout("CDD-11_test/clear/{name}", "CDD-11_test/{degradation}/{name}"),
            Layout("clear/{name}", "{degradation}/{name}"),
            Layout("target/{degradation}", "input/{degradation}"),
        ),
        ("CDD11", "CDD-11_test", "CDD-11_test_100"),
        Protocol(),
        note="eleven single and composite degradations; each picture is shown its own",
    ),
    *(_wed(*order) for order in _ORDERS),
    Benchmark(
        "euvp",
        "underwater",
        "EUVP test samples (Islam et al., RA-L 2020)",
        "https://irvlab.cs.umn.edu/resources/euvp-dataset",
        "256x256",
        515,
        (Layout("test_samples/GTr/{name}", "test_samples/Inp/{name}"), Layout("GTr/{name}", "Inp/{name}"), *GENERIC),
        ("EUVP",),
        Protocol(extra=("lpips",)),
        published="EUVP",
        note=f"{NOT_PUBLIC}; the inputs were distorted by a GAN",
    ),
    Benchmark(
        "turbid",
        "underwater",
        "TURBID (Duarte et al., OCEANS 2016)",
        "http://amandaduarte.com.br/turbid/",
        "various",
        None,
        GENERIC,
        ("TURBID",),
        Protocol(extra=("lpips",)),
        published="TURBID",
        note=f"{NOT_PUBLIC}: give pairs as input/ and target/",
    ),
)
