"""Test sets of noise, compression and low light."""

from defusion.evaluation.protocol import Protocol
from defusion.evaluation.test_sets.entry import CLEAN, GENERIC, RGB_AND_Y, Benchmark, Synthesis
from defusion.layouts import Layout


def _noisy(name: str, title: str, home: str, size: str, count: int, folders: tuple[str, ...]) -> tuple[Benchmark, ...]:
    layouts = (Layout("original_png/{name}"), Layout("original/{name}"), Layout("image_SRF_4/{name}_SRF_4_HR"), *CLEAN)
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
            RGB_AND_Y,
            synthesis=Synthesis("awgn", sigma),
            note="noisy pictures are clipped and rounded to 8 bits; unclipped float noise scores differently",
        )
        for sigma in (15, 25, 50)
    )


SENSOR_SETS = (
    Benchmark(
        "sidd",
        "noise",
        "SIDD validation blocks (Abdelhamed et al., CVPR 2018)",
        "https://abdokamel.github.io/sidd/",
        "256x256",
        1280,
        (Layout("ValidationGtBlocksSrgb.mat", "ValidationNoisyBlocksSrgb.mat"), *GENERIC),
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
            *GENERIC,
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
        (Layout("{name}_mean", "{name}_real"), *GENERIC),
        ("CC15", "CC"),
    ),
    Benchmark(
        "nam",
        "noise",
        "Nam (Nam et al., CVPR 2016)",
        "https://sites.google.com/site/seonghyeonnam/ccnoise",
        "512x512",
        None,
        (Layout("{name}_mean", "{name}_real"), *GENERIC),
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
        (Layout("refimgs/{name}"), *CLEAN),
        ("LIVE1", "databaserelease2"),
        RGB_AND_Y,
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
        (Layout("**/images/test/{name}"), *CLEAN),
        ("BSD500", "BSDS500", "BSR"),
        RGB_AND_Y,
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
        (Layout("eval15/high/{name}", "eval15/low/{name}"), Layout("high/{name}", "low/{name}"), *GENERIC),
        ("LOL", "LOL_v1", "LOLdataset"),
        Protocol(),
        note="without scaling to the reference's mean, which some apply",
    ),
)
