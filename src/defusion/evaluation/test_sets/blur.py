"""Test sets of motion and defocus blur."""

from defusion.evaluation.protocol import Protocol
from defusion.evaluation.test_sets.entry import GENERIC, Benchmark
from defusion.layouts import Layout

BLUR_SETS = (
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
            *GENERIC,
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
            *GENERIC,
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
            *GENERIC,
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
            *GENERIC,
        ),
        ("DPDD", "dd_dp_dataset_canon", "dd_dp_dataset_png"),
        Protocol(eight_bit=False, extra=("mae", "lpips")),
        licence="MIT",
        published="DPDD",
        note="the single-image input (inputC); Restormer's SSIM has a uniform window of 7 px, ours a Gaussian one",
    ),
)
