"""What can be evaluated: degradations of clean pictures, and the data sets of the paper's tables.

A name is a degradation or a composite ("rain", "rain+noise") or a data set ("gopro"). "raindrop" is the
degradation; the RainDrop data set goes by its test split, "raindrop_test_a".
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

from defusion.degradations.library import NAMES, parse
from defusion.degradations.standard import MID_SEVERITY, NOISE_SIGMA

SEED = 2025
"""Picture number i of a synthetic task is degraded by the key (SEED, i)."""

MEASURED = (
    "Scores: RGB, rounded to 8 bits as saved, no border crop; PSNR, and SSIM with a Gaussian window "
    "(11 px, sigma 1.5) wherever it lies inside; mean over pictures of per-picture values."
)
"""How an evaluation takes its scores (`evaluation.runner`)."""


class MissingDataError(FileNotFoundError):
    """A data set that was asked for is not there; the message says how to go on."""


@dataclass(frozen=True)
class SyntheticTask:
    """A standard degradation (`defusion.degradations.standard`) of clean pictures."""

    name: str
    """The degradations, joined by "+", in the order they act."""

    @property
    def protocol(self) -> str:
        """How the scores come about, in words."""
        strengths = [
            f"{member} (Gaussian, sigma {NOISE_SIGMA:g})" if member == "noise" else f"{member} ({MID_SEVERITY:g})"
            for member in self.name.split("+")
        ]
        return (
            f"Synthetic on clean pictures: {', then '.join(strengths)}, at the severity in brackets, "
            f"key ({SEED}, picture number); the instruction shows the same degradations at the same "
            f"severity, by another draw. {MEASURED}"
        )


@dataclass(frozen=True)
class DatasetTask:
    """A real or published test set of pairs, read from `input/` and `target/`."""

    name: str
    source: str
    """The data set's own name and its paper."""
    images: str
    """The test images, by number and size."""
    home: str
    """Where it is distributed."""
    stand_in: str
    """The synthetic task that comes nearest."""
    published: str
    """The protocol in common use; ours differs where this says more than RGB."""

    @property
    def protocol(self) -> str:
        """How the scores come about, in words."""
        return f"{self.source}. {MEASURED} In common use: {self.published}"

    def require(self, data: Path | str | None) -> Path:
        """The folder `data`, which holds `input/` and `target/`.

        Raises:
            MissingDataError: if it is not given or does not hold them, with the way to get the data
                and to run the stand-in.
        """
        if data is not None and all((Path(data) / side).is_dir() for side in ("input", "target")):
            return Path(data)
        raise MissingDataError(self.explain(data))

    def explain(self, data: Path | str | None = None) -> str:
        """What the task needs, where it comes from, how it is laid out, and what runs without it."""
        found = "no data was given" if data is None else f"no folders input/ and target/ in {data}"
        return (
            f"Task {self.name}: {found}.\n"
            f"  Needs     {self.source}: {self.images}.\n"
            f"  From      {self.home}\n"
            "  Layout    DIR/input/NAME.png   the degraded pictures\n"
            "            DIR/target/NAME.png  their references, by the same names\n"
            f"  Run       make eval TASK={self.name} DATA=DIR\n"
            f"  Protocol  {self.published}\n"
            f"  Stand-in  make eval TASK={self.stand_in}   (synthetic, on clean pictures, no download)"
        )


Task: TypeAlias = SyntheticTask | DatasetTask

_RGB = "RGB PSNR on 8-bit pictures, no border crop."

_DATASETS = (
    DatasetTask(
        "gopro",
        "GoPro (Nah et al., CVPR 2017)",
        "1111 pairs of 1280x720",
        "https://seungjunnah.github.io/Datasets/gopro",
        "motion_blur",
        f'{_RGB} The "blur" folder, without gamma.',
    ),
    DatasetTask(
        "realblur_j",
        "RealBlur-J (Rim et al., ECCV 2020)",
        "980 pairs of about 680x773",
        "https://cg.postech.ac.kr/research/realblur/",
        "motion_blur",
        "intensity scaling and ECC alignment, then masked PSNR and Gaussian SSIM.",
    ),
    DatasetTask(
        "dpdd",
        "DPDD (Abuolaim and Brown, ECCV 2020)",
        "76 pairs of 1680x1120, the single-image inputC",
        "https://github.com/Abdullah-Abuolaim/defocus-deblurring-dual-pixel",
        "defocus_blur",
        "RGB PSNR on floats, SSIM, MAE and LPIPS; also indoor and outdoor apart.",
    ),
    DatasetTask(
        "snow100k_l",
        "Snow100K-L (Liu et al., DesnowNet, TIP 2018)",
        "16801 pairs of at most 640x640",
        "https://sites.google.com/view/yunfuliu/desnownet",
        "snow",
        "BT.601 Y for the weather-diffusion family, else RGB; subsets of 2000 pictures are not comparable.",
    ),
    DatasetTask(
        "realsnow",
        "RealSnow (Zhu et al., WGWS-Net, CVPR 2023)",
        "the test pairs",
        "https://github.com/zhuyr97/WGWS-Net",
        "snow",
        "RGB PSNR and SSIM.",
    ),
    DatasetTask(
        "dense_haze",
        "Dense-Haze (Ancuti et al., ICIP 2019)",
        "pairs 51-55 of 1600x1200",
        "https://data.vision.ee.ethz.ch/cvl/ntire19/dense-haze/",
        "haze",
        "RGB; some codes take SSIM after down-sampling, which is not comparable.",
    ),
    DatasetTask(
        "nh_haze",
        "NH-HAZE (Ancuti et al., CVPRW 2020)",
        "pairs 51-55 of 1600x1200",
        "https://data.vision.ee.ethz.ch/cvl/ntire20/nh-haze/",
        "haze",
        "RGB; some codes take SSIM after down-sampling, which is not comparable.",
    ),
    DatasetTask(
        "raindrop_test_a",
        "RainDrop test_a (Qian et al., CVPR 2018)",
        "58 pairs of 720x480",
        "https://github.com/rui1996/DeRaindrop",
        "raindrop",
        "BT.601 Y.",
    ),
    DatasetTask(
        "rain1400",
        "Rain1400 (Fu et al., CVPR 2017)",
        "1400 rainy pictures of 100 scenes",
        "https://xueyangfu.github.io/projects/cvpr2017.html",
        "rain",
        "BT.601 Y; RGB is about 2 dB lower.",
    ),
    DatasetTask(
        "lhp",
        "LHP-Rain (Guo et al., ICCV 2023)",
        "the test pairs of 1920x1080",
        "https://github.com/yunguo224/LHP-Rain",
        "rain",
        "PSNR and SSIM as in its paper.",
    ),
    DatasetTask(
        "sidd",
        "SIDD (Abdelhamed et al., CVPR 2018)",
        "1280 sRGB validation blocks of 256x256, saved as pictures",
        "https://abdokamel.github.io/sidd/",
        "noise",
        "RGB on clamped floats, per block.",
    ),
    DatasetTask(
        "live1",
        "LIVE1 (Sheikh et al., TIP 2006)",
        "29 references; input/ holds them as JPEG of quality 10, opened and saved as PNG",
        "https://live.ece.utexas.edu/research/quality/subjective.htm",
        "jpeg",
        "RGB PSNR, no border crop; the inputs score 25.69 dB.",
    ),
    DatasetTask(
        "wed_mixed",
        "Waterloo Exploration Database with rain, snow and noise (Ma et al., TIP 2017)",
        "4744 references; the paper's split and strengths are not public",
        "https://ece.uwaterloo.ca/~k29ma/exploration/",
        "rain+snow+noise",
        "all six orders of the three; to be stated with the split and strengths used.",
    ),
    DatasetTask(
        "euvp",
        "EUVP (Islam et al., RA-L 2020)",
        "the paired test samples; the inputs were distorted by a GAN; the paper's split is not public",
        "https://irvlab.cs.umn.edu/resources/euvp-dataset",
        "underwater",
        "RGB; to be stated with the split used.",
    ),
    DatasetTask(
        "turbid",
        "TURBID (Duarte et al., OCEANS 2016)",
        "photographs under growing turbidity, each with the clear one as its reference",
        "http://amandaduarte.com.br/turbid/",
        "underwater",
        "RGB; to be stated with the split used.",
    ),
)

DATASETS: dict[str, DatasetTask] = {task.name: task for task in _DATASETS}
"""Name -> data set of the paper's tables 1 to 4."""

SYNTHETIC: tuple[str, ...] = NAMES
"""The degradations that are each a task; composites are joined by "+"."""


def find_task(name: str) -> Task:
    """The task of that name; "NH-HAZE" finds "nh_haze".

    Raises:
        ValueError: for an unknown name, with the nearest ones.
    """
    plain = name.strip().lower().replace("-", "_")
    if plain in DATASETS:
        return DATASETS[plain]
    if "+" in plain:
        return SyntheticTask(parse(plain).name)
    if plain in SYNTHETIC:
        return SyntheticTask(plain)
    known = (*SYNTHETIC, *DATASETS)
    near = get_close_matches(plain, known, n=3, cutoff=0.5) or known
    raise ValueError(
        f"unknown task {name!r}: did you mean {', '.join(near)}? "
        'A task is a degradation, some joined by "+" ("rain+noise"), or a data set.'
    )
