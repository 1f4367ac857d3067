"""The field's test sets: what each is, how it lies on the disk, how it is scored, and what its instruction shows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from defusion.evaluation.protocol import Protocol
from defusion.layouts import Layout


@dataclass(frozen=True)
class Synthesis:
    """How the degraded pictures of a test set are made from its references, picture i by the key (seed, i).

    Attributes:
        kind: "awgn" (sigma in 8-bit units), "jpeg" (Pillow's codec, 4:2:0, at a quality), or "standard"
            (the degradations of `task`, `defusion.degradations.standard`).
        level: sigma or quality; not used by "standard".
        severity: of "standard", in [0, 1]; mid severity (noise: sigma 25) when not given.
    """

    kind: Literal["awgn", "jpeg", "standard"]
    level: float = 0.0
    severity: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """One test set.

    Attributes:
        name: what `TASK=` calls it.
        task: the degradations that its instruction shows, "rain+noise"; a name in braces stands for what the
            layout's name is, joined by "_" ("{degradation}").
        title: the data set's own name and its paper.
        home: where it is distributed.
        size: of its pictures, in words.
        count: number of test pictures; None where none is fixed.
        layouts: accepted folder layouts; the first that finds pictures counts.
        folders: names of its folder below a root, in any case, "-", "_" and " " not told apart.
        protocol: how it is scored.
        licence: as its home states it; "not stated" where it states none.
        synthesis: how its degraded pictures are made, None for real or published pairs.
        published: its data set's name in the paper's tables (and its task there), None where it is in none.
        aside: a part of a layout that holds another version of the pictures, which is not comparable.
        crop_target: the reference is larger than the input and cropped to it in its middle.
        note: what a reader must know.
    """

    name: str
    task: str
    title: str
    home: str
    size: str
    count: int | None
    layouts: tuple[Layout, ...]
    folders: tuple[str, ...]
    protocol: Protocol = Protocol()
    licence: str = "not stated"
    synthesis: Synthesis | None = None
    published: str | None = None
    aside: str = ""
    crop_target: bool = False
    note: str = ""


_PAIRS = Layout("target/{name}", "input/{name}")
_TEST_PAIRS = Layout("test/target/{name}", "test/input/{name}")
_GENERIC = (_PAIRS, _TEST_PAIRS)
_CLEAN = (Layout("target/{name}"), Layout("HR/{name}"), Layout("{name}"))
_Y = Protocol(psnr="y", ssim="y", extra=("psnr_rgb", "ssim_rgb"))
_WEATHER = replace(_Y, resize="weather")
_RGB_AND_Y = Protocol(extra=("psnr_y", "ssim_y"))
_SNOW_HOME = "https://sites.google.com/view/yunfuliu/desnownet"
_RESIDE_HOME = "https://sites.google.com/view/reside-dehaze-datasets"
_TWO_THOUSAND = "subsets of 2,000 pictures, which some report, are not comparable"
_NOT_PUBLIC = "the split of the paper is not public"


def _snow(letter: str, count: int) -> Benchmark:
    inside = f"Snow100K-{letter}"
    return Benchmark(
        f"snow100k_{letter.lower()}",
        "snow",
        f"Snow100K-{letter} (Liu et al., DesnowNet, TIP 2018)",
        _SNOW_HOME,
        "at most 640x640",
        count,
        (
            Layout(f"**/{inside}/gt/{{name}}", f"**/{inside}/synthetic/{{name}}"),
            Layout("gt/{name}", "synthetic/{name}"),
            *_GENERIC,
        ),
        ("Snow100K", "Snow100K-testset", inside),
        _WEATHER,
        published="Snow100K-L" if letter == "L" else None,
        note=_TWO_THOUSAND,
    )


def _noisy(name: str, title: str, home: str, size: str, count: int, folders: tuple[str, ...]) -> tuple[Benchmark, ...]:
    layouts = (Layout("original_png/{name}"), Layout("original/{name}"), Layout("image_SRF_4/{name}_SRF_4_HR"), *_CLEAN)
    return tuple(
        Benchmark(
            f"{name}_s{sigma}",
            "noise",
            f"{title}, Gaussian noise of sigma {sigma}",
            home,
            size,
            count,
            layouts,
            folders,
            _RGB_AND_Y,
            synthesis=Synthesis("awgn", sigma),
            note="noisy pictures are clipped and rounded to 8 bits; unclipped float noise scores differently",
        )
        for sigma in (15, 25, 50)
    )


def _rain100(letter: str) -> Benchmark:
    kind = {"L": "Light", "H": "Heavy"}[letter]
    return Benchmark(
        f"rain100{letter.lower()}",
        "rain",
        f"Rain100{letter} (Yang et al., CVPR 2017)",
        "https://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html",
        "481x321",
        100,
        (
            Layout(f"rain_data_test_{kind}/norain/norain-{{name}}", f"rain_data_test_{kind}/rain/X2/norain-{{name}}x2"),
            Layout("norain/norain-{name}", "rain/X2/norain-{name}x2"),
            Layout("norain/norain-{name}", "rain/rain-{name}"),
            Layout("gt/norain-{name}", "rainy/rain-{name}"),
            Layout("norain-{name}", "rainy/rain-{name}"),
            *_GENERIC,
        ),
        (f"Rain100{letter}", f"rain_data_test_{kind}"),
        Protocol(psnr="y", ssim="y", extra=("psnr_rgb", "ssim_rgb")),
        note="all-in-one papers of the PromptIR family report RGB, derain papers Y",
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
        note=f"{_NOT_PUBLIC}, nor are its strengths: ours are pictures 04245 to 04744 at mid severity, "
        "not comparable with the paper's Table 3",
    )


_WED_TEST = tuple(f"{number:05d}" for number in range(4245, 4745))
_LAST_FIVE = tuple(str(number) for number in range(51, 56))
_ORDERS = (
    ("rain", "noise", "snow"),
    ("rain", "snow", "noise"),
    ("noise", "snow", "rain"),
    ("noise", "rain", "snow"),
    ("snow", "rain", "noise"),
    ("snow", "noise", "rain"),
)

_ALL = (
    Benchmark(
        "gopro",
        "motion_blur",
        "GoPro (Nah et al., CVPR 2017)",
        "https://seungjunnah.github.io/Datasets/gopro",
        "1280x720",
        1111,
        (
            Layout("test/{scene}/sharp/{name}", "test/{scene}/blur/{name}"),
            Layout("test/{scene}/sharp/{name}", "test/{scene}/blur_gamma/{name}"),
            Layout("{scene}/sharp/{name}", "{scene}/blur/{name}"),
            Layout("test/GoPro/target/{name}", "test/GoPro/input/{name}"),
            *_GENERIC,
        ),
        ("GoPro", "GOPRO_Large"),
        Protocol(ssim="3d", extra=("ssim_rgb",)),
        licence="CC BY 4.0",
        published="GoPro",
        aside="blur_gamma",
        note='the "blur" folder, without gamma, is the usual one; SSIM by scikit-image is lower than MATLAB\'s',
    ),
    Benchmark(
        "hide",
        "motion_blur",
        "HIDE (Shen et al., ICCV 2019)",
        "https://github.com/joanshen0508/HA_deblur",
        "1280x720",
        2025,
        (
            Layout("GT/{name}", "test/{view}/{name}", spare=True),
            Layout("test/HIDE/target/{name}", "test/HIDE/input/{name}"),
            *_GENERIC,
        ),
        ("HIDE", "HIDE_dataset"),
        Protocol(ssim="3d", extra=("ssim_rgb",)),
        note="test-close-ups and test-long-shot; GT also holds the references of the training set",
    ),
    Benchmark(
        "realblur_j",
        "motion_blur",
        "RealBlur-J (Rim et al., ECCV 2020)",
        "https://cg.postech.ac.kr/research/realblur/",
        "about 680x773",
        980,
        (
            Layout("**/{scene}/gt/gt_{name}", "**/{scene}/blur/blur_{name}", listing="RealBlur_J_test_list.txt"),
            Layout("test/RealBlur_J/target/{name}", "test/RealBlur_J/input/{name}"),
            *_GENERIC,
        ),
        ("RealBlur_J", "RealBlur"),
        Protocol(align=True),
        published="RealBlur-J",
    ),
    Benchmark(
        "dpdd",
        "defocus_blur",
        "DPDD (Abuolaim and Brown, ECCV 2020)",
        "https://github.com/Abdullah-Abuolaim/defocus-deblurring-dual-pixel",
        "1680x1120",
        76,
        (
            Layout("**/test_c/target/{name}", "**/test_c/source/{name}", by_order=True),
            Layout("test/target/{name}", "test/inputC/{name}", by_order=True),
            *_GENERIC,
        ),
        ("DPDD", "dd_dp_dataset_canon", "dd_dp_dataset_png"),
        Protocol(eight_bit=False, extra=("mae", "lpips")),
        licence="MIT",
        published="DPDD",
        note="the single-image input (inputC); Restormer's SSIM has a uniform window of 7 px, ours a Gaussian one",
    ),
    _snow("S", 16611),
    _snow("M", 16588),
    _snow("L", 16801),
    Benchmark(
        "realsnow",
        "snow",
        "RealSnow (Zhu et al., WGWS-Net, CVPR 2023)",
        "https://github.com/zhuyr97/WGWS-Net",
        "various",
        None,
        (Layout("test/gt/{name}", "test/input/{name}"), Layout("gt/{name}", "input/{name}"), *_GENERIC),
        ("RealSnow",),
        _RGB_AND_Y,
        published="RealSnow",
    ),
    Benchmark(
        "dense_haze",
        "haze",
        "Dense-Haze (Ancuti et al., ICIP 2019)",
        "https://data.vision.ee.ethz.ch/cvl/ntire19/dense-haze/",
        "1600x1200",
        5,
        (Layout("GT/{name}_GT", "hazy/{name}_hazy", only=_LAST_FIVE), *_GENERIC),
        ("Dense-Haze", "Dense_Haze_NTIRE19"),
        Protocol(),
        published="Dense-Haze",
        note="pictures 51 to 55; SSIM after down-sampling, which some report, is not comparable",
    ),
    Benchmark(
        "nh_haze",
        "haze",
        "NH-HAZE (Ancuti et al., CVPRW 2020)",
        "https://data.vision.ee.ethz.ch/cvl/ntire20/nh-haze/",
        "1600x1200",
        5,
        (Layout("{name}_GT", "{name}_hazy", only=_LAST_FIVE), *_GENERIC),
        ("NH-HAZE",),
        Protocol(),
        published="NH-HAZE",
        note="pictures 51 to 55; SSIM after down-sampling, which some report, is not comparable",
    ),
    Benchmark(
        "sots_indoor",
        "haze",
        "RESIDE SOTS indoor (Li et al., TIP 2019)",
        _RESIDE_HOME,
        "620x460",
        500,
        (
            Layout("indoor/gt/{name}", "indoor/hazy/{name}_{level}"),
            Layout("**/nyuhaze500/gt/{name}", "**/nyuhaze500/hazy/{name}_{level}"),
            Layout("gt/{name}", "hazy/{name}_{level}"),
            *_GENERIC,
        ),
        ("SOTS_indoor", "SOTS"),
        Protocol(),
        crop_target=True,
        note="references of 640x480 are cropped to the 620x460 of the inputs",
    ),
    Benchmark(
        "sots_outdoor",
        "haze",
        "RESIDE SOTS outdoor (Li et al., TIP 2019)",
        _RESIDE_HOME,
        "about 550x413",
        500,
        (
            Layout("outdoor/gt/{name}", "outdoor/hazy/{name}_{airlight}_{beta}"),
            Layout("gt/{name}", "hazy/{name}_{airlight}_{beta}"),
            *_GENERIC,
        ),
        ("SOTS_outdoor", "SOTS"),
        Protocol(),
    ),
    Benchmark(
        "raindrop",
        "raindrop",
        "RainDrop test_a (Qian et al., CVPR 2018)",
        "https://github.com/rui1996/DeRaindrop",
        "720x480",
        58,
        (
            Layout("**/test_a/gt/{name}_clean", "**/test_a/data/{name}_rain"),
            Layout("gt/{name}_clean", "data/{name}_rain"),
            *_GENERIC,
        ),
        ("RainDrop", "raindrop_data"),
        _WEATHER,
        published="RainDrop",
    ),
    Benchmark(
        "rain1400",
        "rain",
        "Rain1400 (Fu et al., CVPR 2017)",
        "https://xueyangfu.github.io/projects/cvpr2017.html",
        "about 512x384",
        1400,
        (
            Layout("testing/ground_truth/{name}", "testing/rainy_image/{name}_{kind}"),
            Layout("ground_truth/{name}", "rainy_image/{name}_{kind}"),
            *_GENERIC,
        ),
        ("Rain1400", "rainy_image_dataset", "DDN"),
        Protocol(psnr="y", ssim="y", extra=("psnr_rgb", "ssim_rgb")),
        published="Rain1400",
        note="RGB is about 2 dB lower than Y",
    ),
    Benchmark(
        "outdoor_rain",
        "rain+haze",
        "Outdoor-Rain test1 (Li et al., CVPR 2019)",
        "https://github.com/liruoteng/HeavyRainRemoval",
        "720x480",
        750,
        (
            Layout("gt/{name}", "in/{name}_s{streak}_a{airlight}"),
            Layout("test1/gt/{name}", "test1/in/{name}_s{streak}_a{airlight}"),
            Layout("test/gt/{name}", "test/data/{name}_s{streak}_a{airlight}"),
            Layout("gt/{name}", "data/{name}_s{streak}_a{airlight}"),
            *_GENERIC,
        ),
        ("Outdoor-Rain", "test1", "CVPR19RainTrain"),
        _WEATHER,
        note="heavy rain with veiling haze: the instruction shows both",
    ),
    Benchmark(
        "lhp",
        "rain",
        "LHP-Rain (Guo et al., ICCV 2023)",
        "https://github.com/yunguo224/LHP-Rain",
        "1920x1080",
        None,
        (Layout("test/gt/{name}", "test/input/{name}"), *_GENERIC),
        ("LHP", "LHP-Rain"),
        _RGB_AND_Y,
        published="LHP",
    ),
    _rain100("L"),
    _rain100("H"),
    Benchmark(
        "sidd",
        "noise",
        "SIDD validation blocks (Abdelhamed et al., CVPR 2018)",
        "https://abdokamel.github.io/sidd/",
        "256x256",
        1280,
        (Layout("ValidationGtBlocksSrgb.mat", "ValidationNoisyBlocksSrgb.mat"), *_GENERIC),
        ("SIDD", "SIDD_Validation_sRGB"),
        Protocol(ssim="3d", eight_bit=False, extra=("ssim_rgb",)),
        licence="MIT",
        published="SIDD",
    ),
    Benchmark(
        "polyu",
        "noise",
        "PolyU (Xu et al., arXiv 2018)",
        "https://github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset",
        "512x512",
        100,
        (
            Layout("CroppedImages/{name}_mean", "CroppedImages/{name}_real"),
            Layout("{name}_mean", "{name}_real"),
            *_GENERIC,
        ),
        ("PolyU", "PolyU-Real-World-Noisy-Images-Dataset", "PolyU-Real-World-Noisy-Images-Dataset-master"),
    ),
    Benchmark(
        "cc15",
        "noise",
        "CC, 15 crops (Nam et al., CVPR 2016)",
        "https://github.com/csjunxu/MCWNNM-ICCV2017",
        "512x512",
        15,
        (Layout("{name}_mean", "{name}_real"), *_GENERIC),
        ("CC15", "CC"),
    ),
    Benchmark(
        "nam",
        "noise",
        "Nam (Nam et al., CVPR 2016)",
        "https://sites.google.com/site/seonghyeonnam/ccnoise",
        "512x512",
        None,
        (Layout("{name}_mean", "{name}_real"), *_GENERIC),
        ("Nam",),
        note="11 scenes; the crops differ from paper to paper: state yours",
    ),
    Benchmark(
        "live1",
        "jpeg",
        "LIVE1, JPEG of quality 10 (Sheikh et al., TIP 2006)",
        "https://live.ece.utexas.edu/research/quality/subjective.htm",
        "about 768x512",
        29,
        (Layout("refimgs/{name}"), *_CLEAN),
        ("LIVE1", "databaserelease2"),
        _RGB_AND_Y,
        synthesis=Synthesis("jpeg", 10),
        published="LIVE1",
    ),
    Benchmark(
        "bsd500_jpeg",
        "jpeg",
        "BSD500 test, JPEG of quality 10 (Arbelaez et al., PAMI 2011)",
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html",
        "481x321",
        200,
        (Layout("**/images/test/{name}"), *_CLEAN),
        ("BSD500", "BSDS500", "BSR"),
        _RGB_AND_Y,
        synthesis=Synthesis("jpeg", 10),
    ),
    *_noisy(
        "cbsd68",
        "CBSD68 (Martin et al., ICCV 2001)",
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/",
        "481x321",
        68,
        ("CBSD68", "CBSD68-dataset"),
    ),
    *_noisy("kodak24", "Kodak24", "https://r0k.us/graphics/kodak/", "768x512", 24, ("Kodak24", "Kodak")),
    *_noisy(
        "mcmaster",
        "McMaster (Zhang et al., JEI 2011)",
        "https://www4.comp.polyu.edu.hk/~cslzhang/CDM_Dataset.htm",
        "500x500",
        18,
        ("McMaster", "McM"),
    ),
    *_noisy(
        "urban100",
        "Urban100 (Huang et al., CVPR 2015)",
        "https://github.com/jbhuang0604/SelfExSR",
        "about 984x797",
        100,
        ("Urban100",),
    ),
    Benchmark(
        "lol_v1",
        "low_light",
        "LOL v1 (Wei et al., BMVC 2018)",
        "https://daooshee.github.io/BMVC2018website/",
        "600x400",
        15,
        (Layout("eval15/high/{name}", "eval15/low/{name}"), Layout("high/{name}", "low/{name}"), *_GENERIC),
        ("LOL", "LOL_v1", "LOLdataset"),
        Protocol(),
        note="without scaling to the reference's mean, which some apply",
    ),
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
        (Layout("test_samples/GTr/{name}", "test_samples/Inp/{name}"), Layout("GTr/{name}", "Inp/{name}"), *_GENERIC),
        ("EUVP",),
        Protocol(extra=("lpips",)),
        published="EUVP",
        note=f"{_NOT_PUBLIC}; the inputs were distorted by a GAN",
    ),
    Benchmark(
        "turbid",
        "underwater",
        "TURBID (Duarte et al., OCEANS 2016)",
        "http://amandaduarte.com.br/turbid/",
        "various",
        None,
        _GENERIC,
        ("TURBID",),
        Protocol(extra=("lpips",)),
        published="TURBID",
        note=f"{_NOT_PUBLIC}: give pairs as input/ and target/",
    ),
)

BENCHMARKS: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in _ALL}
"""Name -> test set."""

WED_MIXED = tuple(benchmark.name for benchmark in _ALL if benchmark.name.startswith("wed_mixed"))

GROUPS: Mapping[str, tuple[str, ...]] = {
    "table1": ("gopro", "dpdd", "snow100k_l", "dense_haze", "raindrop", "rain1400", "sidd", "live1"),
    "table2": ("nh_haze", "lhp", "realsnow", "realblur_j"),
    "table3": WED_MIXED,
    "wed_mixed": WED_MIXED,
    "table4": ("euvp", "turbid"),
    "aio3": ("sots_outdoor", "rain100l", "cbsd68_s15", "cbsd68_s25", "cbsd68_s50"),
    "aio5": ("sots_outdoor", "rain100l", "cbsd68_s25", "gopro", "lol_v1"),
    "all": tuple(BENCHMARKS),
}
"""Name -> the test sets that `TASK=` of this name runs: the paper's tables, the three- and five-task protocols."""
