"""Test sets of rain, drops, snow and haze."""

from dataclasses import replace

from defusion.evaluation.protocol import Protocol
from defusion.evaluation.test_sets.entry import GENERIC, RGB_AND_Y, Benchmark
from defusion.layouts import Layout

_Y = Protocol(psnr="y", ssim="y", extra=("psnr_rgb", "ssim_rgb"))
_WEATHER = replace(_Y, resize="weather")
_SNOW_HOME = "https://sites.google.com/view/yunfuliu/desnownet"
_RESIDE_HOME = "https://sites.google.com/view/reside-dehaze-datasets"
_TWO_THOUSAND = "subsets of 2,000 pictures, which some report, are not comparable"
_LAST_FIVE = tuple(str(number) for number in range(51, 56))


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
            *GENERIC,
        ),
        ("Snow100K", "Snow100K-testset", inside),
        _WEATHER,
        published="Snow100K-L" if letter == "L" else None,
        note=_TWO_THOUSAND,
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
            *GENERIC,
        ),
        (f"Rain100{letter}", f"rain_data_test_{kind}"),
        _Y,
        note="all-in-one papers of the PromptIR family report RGB, derain papers Y",
    )


WEATHER_SETS = (
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
        (Layout("test/gt/{name}", "test/input/{name}"), Layout("gt/{name}", "input/{name}"), *GENERIC),
        ("RealSnow",),
        RGB_AND_Y,
        published="RealSnow",
    ),
    Benchmark(
        "dense_haze",
        "haze",
        "Dense-Haze (Ancuti et al., ICIP 2019)",
        "https://data.vision.ee.ethz.ch/cvl/ntire19/dense-haze/",
        "1600x1200",
        5,
        (Layout("GT/{name}_GT", "hazy/{name}_hazy", only=_LAST_FIVE), *GENERIC),
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
        (Layout("{name}_GT", "{name}_hazy", only=_LAST_FIVE), *GENERIC),
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
            *GENERIC,
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
            *GENERIC,
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
            *GENERIC,
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
            *GENERIC,
        ),
        ("Rain1400", "rainy_image_dataset", "DDN"),
        _Y,
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
            *GENERIC,
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
        (Layout("test/gt/{name}", "test/input/{name}"), *GENERIC),
        ("LHP", "LHP-Rain"),
        RGB_AND_Y,
        published="LHP",
    ),
    _rain100("L"),
    _rain100("H"),
)
