"""The page: what it does, and what a person sees of it in a real browser."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="needs defusion[app]")
import gradio

from defusion.app.page import Page, _told, build, spec
from defusion.degradations.library import NAMES
from defusion.describer.network import Describer, DescriberConfig
from defusion.diffusion.model import Defusion
from defusion.imageio import read_image
from defusion.restore.restorer import Restorer

MIDDLE = [0.5] * len(NAMES)
BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))


@pytest.fixture
def page(model: Defusion, tmp_path: Path) -> Page:
    (tmp_path / "results").mkdir()
    return Page(Restorer(model, "cpu"), tmp_path / "results")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "photo.png", dpi=(300, 300))
    return tmp_path / "photo.png"


def test_names_and_sliders_make_an_instruction() -> None:
    severities = [number / 10 for number in range(len(NAMES))]
    assert spec(["noise", "rain"], severities) == f"rain:{severities[NAMES.index('rain')]:g}+noise:0.9"
    assert spec([], severities) == "clean"


def test_the_chart_changes_with_names_and_severities(page: Page) -> None:
    clean, same = page.charts([], MIDDLE)
    assert clean.shape == same.shape == (256, 256, 3)
    np.testing.assert_array_equal(clean, same)
    changes = []
    for severity in (0.2, 0.8):
        chart, twin = page.charts(["haze"], [severity] * len(NAMES))
        np.testing.assert_array_equal(chart, clean)
        changes.append(np.abs(twin.astype(int) - clean).mean())
    assert 0 < changes[0] < changes[1]


def test_a_picture_is_restored_and_keeps_what_its_file_held(page: Page, photo: Path) -> None:
    told: list[float] = []
    (before, after), path, words = page.restore(str(photo), ["rain"], MIDDLE, None, 0.5, 1, told.append)
    np.testing.assert_array_equal(before, read_image(photo))
    np.testing.assert_array_equal(after, read_image(path))
    assert (before != after).any()
    assert path.suffix == ".png"
    with Image.open(path) as result:
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert "rain:0.5, strength 0.5, 1 step" in words
    assert told == [0]
    page.restore(str(photo), ["rain"], MIDDLE, None, 0.5, 1)
    assert not path.exists()  # the page keeps no more than the last one


def test_pictures_of_a_chart_show_it_too(page: Page, tmp_path: Path, photo: Path) -> None:
    clean, twin = page.charts(["haze"], MIDDLE)
    for name, picture in (("clean", clean), ("twin", twin)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    pictures = (str(tmp_path / "clean.png"), str(tmp_path / "twin.png"))
    (before, after), _, words = page.restore(str(photo), [], MIDDLE, pictures, 1, 1)
    assert (before != after).any()
    assert "what the chart shows" in words


@pytest.mark.parametrize(
    ("file", "names", "message"),
    [(None, ["rain"], "there is no picture"), ("photo", [], "nothing is chosen"), ("text", ["rain"], "not a picture")],
)
def test_what_is_missing_is_said(page: Page, photo: Path, file: str | None, names: list[str], message: str) -> None:
    (photo.parent / "text.png").write_text("no picture")
    given = {"photo": str(photo), "text": str(photo.parent / "text.png"), None: None}[file]
    with pytest.raises(ValueError, match=message):
        page.restore(given, names, MIDDLE, None, 1, 1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("not a picture"), "not a picture"),
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory for this picture"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory for this picture"),
        (RuntimeError("a fault of ours"), None),
    ],
)
def test_what_the_user_can_mend_is_a_line_on_the_page(error: Exception, message: str | None) -> None:
    with pytest.raises(gradio.Error if message else RuntimeError, match=message or "a fault of ours"), _told():
        raise error


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # gradio leaves the file open
@pytest.mark.parametrize("mode", ["RGBA", "L", "I;16"])
def test_uploads_reach_the_model_as_they_are(model: Defusion, tmp_path: Path, mode: str) -> None:
    """With their transparency, greys and 16 bits, through the component of the page."""
    draw = np.random.default_rng(0)
    depth = np.uint16 if mode == "I;16" else np.uint8
    shape = (20, 30, 4) if mode == "RGBA" else (20, 30)
    samples = draw.integers(0, np.iinfo(depth).max, shape, dtype=depth)
    Image.fromarray(samples).save(tmp_path / "a.png")

    async def uploaded() -> str:
        blocks = build(Restorer(model, "cpu"), tmp_path)
        own: Any = next(block for block in blocks.blocks.values() if getattr(block, "elem_id", "") == "picture")
        return str(own.preprocess(gradio.data_classes.ImageData(path=str(tmp_path / "a.png"))))

    file = asyncio.run(uploaded())
    with Image.open(file) as found:
        np.testing.assert_array_equal(np.asarray(found), samples)


def test_what_the_model_wrote_is_what_is_removed(page: Page, photo: Path) -> None:
    shape = DescriberConfig(crop_size=32, channels=(16,), blocks=(1,), width=32)
    describer = Describer(shape, page.restorer.model.tokenizer).eval()
    with torch.no_grad():
        describer.names.bias.copy_(torch.tensor([10.0 if name == "rain" else -10.0 for name in NAMES] + [0.0] * 11))
        describer.names.weight.zero_()
    page.restorer.describer = describer
    seen, there, severities = page.describe(str(photo))
    assert there == ["rain"]
    assert severities == MIDDLE
    (_, after), _, words = page.restore(str(photo), there, severities, seen, 1, 1)
    assert "removed: rain," in words
    np.testing.assert_array_equal(after, page.restorer(photo, seen).numpy())


def test_without_a_describer_nothing_is_seen(page: Page, photo: Path) -> None:
    with pytest.raises(ValueError, match="needs a describer"):
        page.describe(str(photo))


def test_the_page_is_built(model: Defusion, tmp_path: Path) -> None:
    async def built() -> Any:  # in a running loop, for else gradio makes some and leaves them open
        return build(Restorer(model, "cpu"), tmp_path)

    blocks = asyncio.run(built())
    labels = {own.get("props", {}).get("label") for own in blocks.get_config_file()["components"]}
    assert {"Picture", "chart", "degraded", "Strength", "Before and after", "rain: severity"} <= labels


@pytest.fixture
def address(weights: Path, tmp_path: Path) -> Iterator[str]:
    """The page, served by the command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "defusion.cli", "app", "--port", str(port), "--weights", str(weights)]

    def left() -> list[Path]:
        return list(tmp_path.glob("defusion-*"))

    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    try:
        until(lambda: reaches(port) or server.poll() is not None, 90)
        assert server.poll() is None, "the command ended"
        listening = [own.laddr.ip for own in psutil.Process(server.pid).net_connections() if own.status == "LISTEN"]
        assert set(listening) == {"127.0.0.1"}, "it listens to this machine alone"
        assert left()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
    assert not left(), "uploads and results are removed"


def reaches(port: int) -> bool:
    with socket.socket() as own:
        return own.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
@pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Debian's chromium and chromium-driver")
def test_a_person_restores_a_picture_in_a_browser(address: str, photo: Path, tmp_path: Path) -> None:
    """Uploads, ticks rain, moves its slider, restores, compares and downloads; an error is shown as one."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1600"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    try:
        browser.get(address)
        go = wait(browser, "#go")
        go.click()
        wait(browser, ".toast-body")
        assert "there is no picture" in browser.page_source
        wait(browser, "#picture input[type=file]").send_keys(str(photo))
        wait(browser, "#picture img")

        def twin() -> str:
            return str(wait(browser, "#degraded img").get_attribute("src"))

        before = twin()
        rain = next(own for own in browser.find_elements("css selector", "#names label") if own.text.strip() == "rain")
        rain.click()
        slider = wait(browser, "#rain input[type=range]")
        until(lambda: twin() != before)
        ticked = twin()
        assert slider.is_displayed()
        slider.send_keys(keys.END)
        until(lambda: twin() not in (before, ticked))
        go.click()
        wait(browser, "#result img")
        until(lambda: "removed: rain" in browser.find_element("css selector", "#words").text)
        assert len(browser.find_elements("css selector", "#result img")) >= 2
        browser.save_screenshot(str(tmp_path / "page.png"))
        wait(browser, "#download").click()
        until(lambda: list((tmp_path / "downloads").glob("photo*_restored*.png")))
    finally:
        browser.quit()


def wait(browser: Any, selector: str, seconds: float = 30) -> Any:
    """The first element of a selector, once it is there."""
    until(lambda: browser.find_elements("css selector", selector), seconds)
    return browser.find_elements("css selector", selector)[0]


def until(holds: Any, seconds: float = 30) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.1)
