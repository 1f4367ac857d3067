"""The published rows of the paper's Tables 1 to 4 (Defusion, CVPR 2025), as data."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["task-specific", "all-in-one", "ours"]
"""What a method is; "ours" is the paper's own model, Defusion, which is all-in-one too and kept apart."""

OWN_PROTOCOL = (
    "The paper's own protocol differs from that of the rows it copied from other papers: the baselines it trained "
    "again (marked *) score far from their published values (on DPDD Restormer* has 28.08 dB, Restormer as published "
    "25.98 dB). A difference to the paper's rows is therefore no measure of the model alone."
)
"""What must stand below every comparison with these rows."""


@dataclass(frozen=True)
class Published:
    """One row of the paper's tables.

    Attributes:
        table: its number, 1 to 4.
        dataset: the test set, as `Benchmark.published` names it: "GoPro", "WED mixed:rain>noise>snow".
        method: its name; a star marks a baseline that the authors of the paper trained again.
        kind: whether it restores one degradation, many, or is the paper's own model.
        psnr: in dB.
        ssim: at most 1.
        lpips: in Table 4; None in the others.
    """

    table: int
    dataset: str
    method: str
    kind: Kind
    psnr: float
    ssim: float
    lpips: float | None = None


_TEXT = """
1 | GoPro
task-specific: MPRNet 32.66 0.959; Restormer 32.92 0.961; Stripformer 33.08 0.962; DiffIR 33.20 0.963
all-in-one: AirNet 28.31 0.910; PromptIR 31.02 0.938; DA-CLIP 27.12 0.823; Restormer* 31.17 0.931
all-in-one: NAFNet* 31.44 0.939; MPerceiver 32.49 0.959
ours: Defusion 34.53 0.966
1 | DPDD
task-specific: DRBNet 25.73 0.791; Restormer 25.98 0.811; NRKNet 26.11 0.810; FocalNet 26.18 0.808
all-in-one: AirNet 25.37 0.770; PromptIR 25.66 0.791; DA-CLIP 24.91 0.749; Restormer* 28.08 0.898
all-in-one: NAFNet* 28.21 0.892; MPerceiver 25.88 0.803
ours: Defusion 29.68 0.922
1 | Snow100K-L
task-specific: DesnowNet 27.17 0.898; DDMSNet 28.85 0.877; DRT 29.56 0.892; WeatherDiff 30.43 0.915
all-in-one: AirNet 30.14 0.907; PromptIR 30.91 0.913; DA-CLIP 28.31 0.862; Restormer* 29.18 0.899
all-in-one: NAFNet* 29.21 0.896; MPerceiver 31.02 0.916
ours: Defusion 32.11 0.926
1 | Dense-Haze
task-specific: AECRNet 15.80 0.466; FocalNet 17.07 0.630; DeHamer 16.62 0.560; MB-Taylor 16.44 0.566
all-in-one: AirNet 15.32 0.562; PromptIR 16.71 0.580; TransWeather 15.58 0.569; Restormer* 16.18 0.560
all-in-one: NAFNet* 16.72 0.602; WGWS-Net 15.50 0.535
ours: Defusion 17.55 0.677
1 | RainDrop
task-specific: AttentGAN 31.59 0.917; Quan et al. 31.37 0.918; IDT 31.87 0.931; UDR-S2 32.64 0.942
all-in-one: AirNet 31.32 0.925; PromptIR 32.03 0.938; DA-CLIP 30.44 0.880; Restormer* 31.67 0.958
all-in-one: NAFNet* 31.03 0.952; MPerceiver 33.21 0.929
ours: Defusion 33.81 0.967
1 | Rain1400
task-specific: Uformer 32.84 0.931; Restormer 33.68 0.939; DRSformer 33.66 0.939; UDR-S2 33.08 0.930
all-in-one: AirNet 32.36 0.928; PromptIR 33.26 0.935; DA-CLIP 29.67 0.851; Restormer* 32.61 0.944
all-in-one: NAFNet* 32.38 0.943; MPerceiver 33.40 0.937
ours: Defusion 34.09 0.954
1 | SIDD
task-specific: MPRNet 39.71 0.958; Uformer 39.89 0.960; Restormer 40.02 0.960; ART 39.99 0.960
all-in-one: AirNet 38.32 0.945; PromptIR 39.52 0.954; DA-CLIP 34.04 0.824; Restormer* 40.60 0.955
all-in-one: NAFNet* 40.22 0.952; MPerceiver 39.96 0.959
ours: Defusion 40.89 0.954
1 | LIVE1
task-specific: QGAC 27.62 0.804; FBCNN 27.77 0.803; SwinIR 27.45 0.796; DAGN 27.95 0.807
all-in-one: Restormer* 26.77 0.827; NAFNet* 26.79 0.827; MPerceiver 27.79 0.804
ours: Defusion 27.77 0.832
2 | NH-HAZE
task-specific: AECRNet 19.88 0.625; SGID 16.23 0.606; DeHamer 20.66 0.684; MB-Taylor 19.43 0.638
all-in-one: AirNet 17.63 0.615; TransWeather 19.19 0.644; WGWS-Net 18.39 0.639; Restormer* 22.57 0.795
all-in-one: NAFNet* 21.66 0.783; MPerceiver 21.97 0.646
ours: Defusion 22.87 0.853
2 | LHP
task-specific: MUSS 30.02 0.886; Restormer 29.72 0.889; DRSformer 30.04 0.895; UDR-S2 28.59 0.884
all-in-one: AirNet 31.73 0.889; TransWeather 29.87 0.867; WGWS-Net 30.77 0.885; Restormer* 29.87 0.928
all-in-one: NAFNet* 27.95 0.917; MPerceiver 32.07 0.889
ours: Defusion 32.98 0.947
2 | RealSnow
task-specific: MIRNetv2 31.39 0.916; ART 31.05 0.913; Restormer 31.38 0.923; NAFNet 31.44 0.919
all-in-one: AirNet 31.02 0.923; TransWeather 31.13 0.922; WGWS-Net 31.37 0.919; Restormer* 29.47 0.889
all-in-one: NAFNet* 28.15 0.858; MPerceiver 31.45 0.924
ours: Defusion 32.73 0.930
2 | RealBlur-J
task-specific: MPRNet 28.70 0.873; Restormer 28.96 0.879; Stripformer 28.82 0.876; DiffIR 29.06 0.882
all-in-one: AirNet 27.91 0.834; TransWeather 28.03 0.837; WGWS-Net 28.10 0.838; Restormer* 30.91 0.930
all-in-one: NAFNet* 30.80 0.928; MPerceiver 29.13 0.881
ours: Defusion 32.39 0.945
3 | WED mixed:rain>noise>snow
all-in-one: WeatherDiff 14.744 0.363; PromptIR 13.976 0.471; Restormer* 24.114 0.766; NAFNet* 23.815 0.755
ours: Defusion 25.511 0.812
3 | WED mixed:rain>snow>noise
all-in-one: WeatherDiff 14.693 0.361; PromptIR 14.212 0.492; Restormer* 23.895 0.760; NAFNet* 23.775 0.755
ours: Defusion 25.228 0.807
3 | WED mixed:noise>snow>rain
all-in-one: WeatherDiff 14.913 0.397; PromptIR 14.544 0.504; Restormer* 25.168 0.802; NAFNet* 24.203 0.776
ours: Defusion 27.008 0.855
3 | WED mixed:noise>rain>snow
all-in-one: WeatherDiff 14.839 0.393; PromptIR 14.357 0.494; Restormer* 25.022 0.798; NAFNet* 24.204 0.773
ours: Defusion 26.600 0.847
3 | WED mixed:snow>rain>noise
all-in-one: WeatherDiff 14.688 0.359; PromptIR 14.553 0.510; Restormer* 24.144 0.766; NAFNet* 23.564 0.745
ours: Defusion 25.052 0.802
3 | WED mixed:snow>noise>rain
all-in-one: WeatherDiff 14.843 0.395; PromptIR 14.615 0.513; Restormer* 24.814 0.793; NAFNet* 24.106 0.772
ours: Defusion 26.079 0.837
4 | EUVP
all-in-one: PromptIR 20.046 0.799 0.296; Restormer* 19.764 0.788 0.316; NAFNet* 19.661 0.779 0.314
ours: Defusion 21.233 0.814 0.269
4 | TURBID
all-in-one: PromptIR 15.324 0.593 0.324; Restormer* 17.420 0.648 0.282; NAFNet* 17.571 0.672 0.291
ours: Defusion 18.261 0.659 0.283
"""


def _parse(lines: Iterable[str]) -> Iterator[Published]:
    """A line "table | dataset", then lines "kind: method psnr ssim [lpips]; ..." of it."""
    kinds: Mapping[str, Kind] = {"task-specific": "task-specific", "all-in-one": "all-in-one", "ours": "ours"}
    table, dataset = "", ""
    for line in lines:
        kind, colon, cells = line.partition(": ")
        if not colon:
            table, dataset = line.split(" | ")
            continue
        for cell in cells.split("; "):
            words = cell.split()
            size = 3 if words[-3].replace(".", "").isdigit() else 2
            method, values = " ".join(words[:-size]), [float(word) for word in words[-size:]]
            yield Published(int(table), dataset, method, kinds[kind], *values)


ROWS = tuple(_parse(_TEXT.strip().splitlines()))
"""Every row, in the order of the tables."""


def published(benchmark_key: str) -> tuple[Published, ...]:
    """The rows of one test set.

    Args:
        benchmark_key: `Benchmark.published`: "GoPro", "WED mixed:rain>noise>snow".

    Raises:
        ValueError: for a test set which is in none of the tables, with those that are.
    """
    rows = tuple(row for row in ROWS if row.dataset == benchmark_key)
    if not rows:
        known = ", ".join(dict.fromkeys(row.dataset for row in ROWS))
        raise ValueError(f"benchmark_key: expected a test set of the paper's tables ({known}), got {benchmark_key!r}")
    return rows


def best(rows: Iterable[Published], kind: Kind) -> Published | None:
    """The row of that kind with the highest PSNR, the first of equal ones; None where there is none."""
    return max((row for row in rows if row.kind == kind), key=lambda row: row.psnr, default=None)
