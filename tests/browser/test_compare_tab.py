"""The Compare tab in a real browser, with real maps of the two demo models."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from scipy.ndimage import map_coordinates

from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.store import Store
from audit_app.explanations import Wanted
from audit_app.map_cache import (
    CachedMaps,
    MapRequest,
    basis_file,
    cache_file,
    layers_file,
    read_layers,
    read_maps,
    read_text_embedding,
    text_file,
)
from audit_app.models import load_entry
from model_store.prompt_basis import prompt_maps, read_basis
from model_store.saliency import SALIENCY_METHODS
from tests.browser.compare_study import BOX, FINDINGS, HOSTILE, READER, WIDE, WIDE_SIZE, make_study
from tests.browser.conftest import ENDED_CONNECTION
from tests.browser.product import App
from tests.chromium import chromium_path

LONG_MS = 120_000  # a shared machine may be busy; alone the first maps take some ten seconds
PANEL = "document.querySelector('.sa-compare').comparePanel"
# What a test may have changed in the panel.
RESET = (
    "(p.opacity.value = 0.5, p.contour.checked = true, p.setHidden(false), p.applyStyle(),"
    " p.each((picture) => picture.fit()), null)"
)
MODES = {"Zero-shot": "zs", "Linear probe": "lp", "Fine-tune": "ft"}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    running = App(*make_study(tmp_path_factory.mktemp("compare")))
    running.start()
    yield running
    running.stop()


class CompareTab:
    """Hands and eyes on the tab."""

    def __init__(self, page: Page, app: App) -> None:
        self.page = page
        self.app = app
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self.note)

    def note(self, message: Any) -> None:
        # A stream that ended is Gradio's own affair; what is missing then shows in the checks.
        is_stream = any(known in message.text for known in ENDED_CONNECTION)
        if message.type == "error" and not is_stream:
            self.complaints.append(message.text)

    def open(
        self,
        picture: str = "Phantom 001",
        finding: str = "Cardiomegaly",
        model: str = "demo-cnn",
    ) -> CompareTab:
        """Show this selection in the simple view, with everything else as at first."""
        if self.page.url != self.app.url:
            self.page.goto(self.app.url)
            self.page.get_by_role("tab", name="Compare").click()
            expect(self.panes.first).to_be_visible()
        if self.eval("p.viewName") != "modes":
            self.view("Modes", "modes")
        self.choose("compare-case", picture, "case_id", self.app.records[picture].image_id)
        self.choose("compare-finding", finding, "finding", finding)
        self.choose("compare-model", model, "options.model", model)
        self.choose("compare-method", "Grad-CAM", "options.method", "gradcam")
        self.eval(RESET)
        return self.ready("modes")

    def choose(self, elem_id: str, option: str, key: str, shown: str) -> None:
        """Choose what begins with this text, and wait until the panel shows it."""
        box = self.page.locator(f"#{elem_id} input")
        begins = re.compile(rf"^{re.escape(option)}( |$)")
        if not begins.match(box.input_value()):
            box.click()
            self.page.get_by_role("option").filter(has_text=option).first.click()
            expect(box).to_have_value(begins)
        self.page.wait_for_function(
            f"(shown) => {PANEL}.value?.{key} === shown", arg=shown, timeout=LONG_MS
        )

    def view(self, title: str, name: str) -> CompareTab:
        self.page.get_by_role("button", name=title, exact=True).click()
        return self.ready(name)

    def ready(self, name: str) -> CompareTab:
        """Wait until the view is there and nothing is being computed for it."""
        self.page.wait_for_function(
            f"(name) => {PANEL}.viewName === name && !{PANEL}.pending && "
            f"!{PANEL}.value.is_waiting && {PANEL}.raster !== null",
            arg=name,
            timeout=LONG_MS,
        )
        return self

    @property
    def sentence(self) -> Locator:
        return self.page.locator("#compare-sentence")

    @property
    def panes(self) -> Locator:
        return self.page.locator(".sa-compare .sa-pane")

    def eval(self, expression: str) -> Any:
        """The value of an expression in which ``p`` is the panel."""
        return self.page.evaluate(f"() => {{ const p = {PANEL}; return {expression}; }}")

    def wait_for(self, condition: str) -> None:
        """Waits until an expression in which ``p`` is the panel holds."""
        told = f"() => {{ const p = {PANEL}; return {condition}; }}"
        self.page.wait_for_function(told, timeout=LONG_MS)

    def use_method(self, title: str) -> None:
        self.page.get_by_role("button", name="All methods").click()
        self.page.get_by_role("button", name=f"Use {title}", exact=True).click()

    def heat(self, index: int) -> np.ndarray:
        """The bytes that a pane draws."""
        width, height, flat = self.eval(
            f"(({{pane, scene}}) => [pane.heat.width, pane.heat.height, [...scene.values]])"
            f"(p.panes[{index}])"
        )
        return np.array(flat).reshape(height, width)

    def numbers(self, index: int) -> dict[str, str]:
        rows = self.panes.nth(index).locator(".sa-numbers div").all_inner_texts()
        return dict(re.split(r"\n+", row.strip(), maxsplit=1) for row in rows)

    def saved(self, button: Locator) -> tuple[Image.Image, str]:
        """The PNG behind a button, and its file name."""
        with self.page.expect_download() as download:
            button.click()
        content = Path(download.value.path()).read_bytes()
        return Image.open(io.BytesIO(content)), download.value.suggested_filename


@pytest.fixture(scope="module")
def opened(browser: Browser, app: App) -> Iterator[CompareTab]:
    context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    yield CompareTab(context.new_page(), app)
    context.close()


@pytest.fixture
def tab(opened: CompareTab) -> Iterator[CompareTab]:
    """One page for all tests: opening it costs more than what a test does in it."""
    opened.complaints.clear()
    yield opened
    assert opened.complaints == []


def kept(app: App, picture: str, model: str, mode: str, **more: str) -> CachedMaps:
    """The maps that the worker left in the cache."""
    image = app.records[picture]
    wanted = Wanted(
        image.image_id,
        model,
        mode,
        more.get("method", "gradcam"),
        **({"layer": more["layer"]} if "layer" in more else {}),
    )
    with Store.open(app.workspace) as store:
        request = MapRequest(image, model, mode, wanted.method, store.findings(), wanted.layer)
        maps = read_maps(cache_file(app.workspace, request, store.models.get(model)))
    assert maps is not None
    return maps


def normalised(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (values.max() - values.min())


def naive_iou(saliency: np.ndarray, box: tuple[float, ...]) -> float:
    """IoU above half of the range with a box on the map's own grid, pixel by pixel."""
    prediction = normalised(saliency.astype(float)) > 0.5
    rows, columns = np.mgrid[: saliency.shape[0], : saliency.shape[1]] + 0.5
    x_min, y_min, x_max, y_max = box
    inside = (columns >= x_min) & (columns < x_max) & (rows >= y_min) & (rows < y_max)
    return float((prediction & inside).sum() / (prediction | inside).sum())


# --- the simple view ---------------------------------------------------------------------------


def test_three_modes_of_one_finding_are_shown_first(tab: CompareTab, app: App) -> None:
    tab.open()
    assert tab.panes.locator("h3").all_inner_texts() == list(MODES)
    for index, mode in enumerate(MODES.values()):
        pane = tab.panes.nth(index)
        maps = kept(app, "Phantom 001", "demo-cnn", mode)
        saliency = maps.maps[maps.findings.index("Cardiomegaly")]
        drawn = tab.heat(index) / 255
        assert np.abs(drawn - normalised(saliency.astype(float))).max() <= 0.5 / 255 + 1e-6
        assert len(pane.locator(".sa-contour").get_attribute("d") or "") > 50
        expect(pane.locator(".sa-cross")).to_have_attribute("visibility", "visible")
        assert pane.locator(".sa-box-line").count() >= 1
        box = tab.eval("p.value.regions.map((region) => region.box)")
        assert len(box) == 1
        grid = maps.geometry
        on_grid = [
            box[0][0] * grid.scale_x - grid.offset_x,
            box[0][1] * grid.scale_y - grid.offset_y,
            box[0][2] * grid.scale_x - grid.offset_x,
            box[0][3] * grid.scale_y - grid.offset_y,
        ]
        assert tab.numbers(index)["IoU"] == f"{naive_iou(saliency, tuple(on_grid)):.3f}"
        score = float(maps.scores[maps.findings.index("Cardiomegaly")])
        expect(pane.locator(".sa-subtitle")).to_contain_text(f"score {score:.3f}")


def test_the_maximum_is_marked_where_the_map_has_it(tab: CompareTab, app: App) -> None:
    tab.open()
    maps = kept(app, "Phantom 001", "demo-cnn", "zs")
    saliency = maps.maps[maps.findings.index("Cardiomegaly")]
    row, column = np.unravel_index(int(saliency.argmax()), saliency.shape)
    grid = maps.geometry
    expected = (
        (column + 0.5 + grid.offset_x) / grid.scale_x,
        (row + 0.5 + grid.offset_y) / grid.scale_y,
    )
    assert tab.eval("p.panes[0].peak") == pytest.approx(expected)
    transform = tab.panes.first.locator(".sa-cross").get_attribute("transform") or ""
    view = tab.eval("p.panes[0].picture.view")
    on_screen = [view["x"] + expected[0] * view["scale"], view["y"] + expected[1] * view["scale"]]
    assert [float(one) for one in re.findall(r"[-\d.]+", transform)] == pytest.approx(on_screen)


def test_what_the_model_does_not_see_is_hatched(tab: CompareTab) -> None:
    tab.open(WIDE)
    height, width = WIDE_SIZE
    path = tab.panes.first.locator(".sa-blind").get_attribute("d") or ""
    frame, seen = path.split("Z")[:2]
    assert frame == f"M0 0H{width}V{height}H0"
    left, top, right, bottom = [float(one) for one in re.findall(r"[-\d.]+", seen)][:4]
    # The shorter edge decides: a square in the middle, up to the rounding of whole model pixels.
    assert (left, right) == pytest.approx(((width - height) / 2, (width + height) / 2), abs=10)
    assert (top, bottom) == pytest.approx((0, height), abs=10)
    assert float(tab.numbers(0)["Visible to the model"]) == pytest.approx(1.0, abs=0.001)
    fill = tab.panes.first.locator(".sa-blind").get_attribute("fill") or ""
    pattern = re.search(r"#([\w-]+)", fill)
    assert pattern is not None
    assert tab.page.locator(f"pattern#{pattern[1]}").count() == 1


def test_a_finding_without_a_region_and_one_without_an_output_say_so(tab: CompareTab) -> None:
    tab.open(finding="Enlarged Cardiomediastinum")
    assert "marked no region" in tab.numbers(0)["Agreement"]
    notice = tab.panes.nth(1).locator(".sa-notice")
    expect(notice).to_have_text("this mode has no output for Enlarged Cardiomediastinum")
    expect(tab.panes.nth(1).locator(".sa-save")).to_be_hidden()


# --- all findings ------------------------------------------------------------------------------


def test_the_grid_shows_every_finding_in_every_mode(tab: CompareTab, app: App) -> None:
    tab.open().view("All findings", "grid")
    heads = tab.page.locator(".sa-grid thead th")
    assert [text.replace("\u00ad", "") for text in heads.all_inner_texts()] == list(FINDINGS)
    expect(tab.page.locator(".sa-grid tbody th")).to_have_text(list(MODES))
    assert tab.page.locator(".sa-grid .sa-thumb").count() == 3 * len(FINDINGS)
    assert tab.page.evaluate("() => window.harmed") is None
    # A drawn cell holds colours of the map, not only greys of the film.
    coloured = tab.eval(
        "p.view.thumbs.filter((t) => t.scene?.image).map((t) => { const c = t.canvas;"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
        "for (let i = 0; i < d.length; i += 4) n += d[i] > d[i + 2] + 30; return n; })"
    )
    assert len(coloured) > 20
    assert min(coloured) > 20
    maps = kept(app, "Phantom 001", "demo-cnn", "lp")
    cell = tab.page.get_by_role("button", name=re.compile("^Pneumothorax, Linear probe"))
    index = maps.findings.index("Pneumothorax")
    expect(cell).to_contain_text(f"score {float(maps.scores[index]):.3f}")


def test_a_click_in_the_grid_opens_that_finding_in_the_panes(tab: CompareTab) -> None:
    tab.open().view("All findings", "grid")
    tab.page.get_by_role("button", name=re.compile("^Pneumothorax, Fine-tune")).click()
    tab.ready("modes")
    expect(tab.sentence).to_contain_text("Pneumothorax: demo-cnn")
    expect(tab.page.locator("#compare-finding input")).to_have_value("Pneumothorax")
    assert tab.eval("p.value.finding") == "Pneumothorax"


# --- layers ------------------------------------------------------------------------------------


def test_the_strip_has_every_layer_and_the_slider_walks_them(tab: CompareTab, app: App) -> None:
    tab.open(model="demo-vit").view("Layers", "layers")
    with Store.open(app.workspace) as store:
        entry = store.models.get("demo-vit")
    layers = read_layers(layers_file(app.workspace, entry))
    assert layers is not None
    assert len(layers) >= 3
    thumbs = tab.page.locator(".sa-strip .sa-thumb")
    expect(thumbs).to_have_count(len(layers))
    own = next(at for at, layer in enumerate(layers) if layer["is_default"])
    slider = tab.page.get_by_role("slider", name="Layer")
    expect(slider).to_have_value(str(own))
    slider.focus()
    for at in range(own - 1, -1, -1):
        tab.page.keyboard.press("ArrowLeft")
        expect(tab.page.locator(".sa-layer-name")).to_contain_text(layers[at]["title"])
        expect(thumbs.nth(at)).to_have_attribute("aria-pressed", "true")
    maps = kept(app, "Phantom 001", "demo-vit", "zs", layer=layers[0]["path"])
    saliency = maps.maps[maps.findings.index("Cardiomegaly")].astype(float)
    assert maps.provenance["layer"] == layers[0]["path"]
    assert np.abs(tab.heat(0) / 255 - normalised(saliency)).max() <= 0.5 / 255 + 1e-6
    thumbs.nth(own).click()
    expect(slider).to_have_value(str(own))


def test_a_layer_can_be_shown_in_all_modes_and_left_again(tab: CompareTab) -> None:
    tab.open(model="demo-vit").view("Layers", "layers")
    tab.page.locator(".sa-strip .sa-thumb").first.click()
    path = tab.eval("p.view.items[0].path")
    before = tab.heat(0)
    tab.page.get_by_role("button", name="Show this layer in all modes").click()
    tab.ready("modes")
    expect(tab.page.locator(".sa-chip")).to_contain_text(path)
    assert (tab.heat(0) == before).all()
    assert all(path in " ".join(one) for one in tab.eval("p.panes.map(({pane}) => pane.caption)"))
    tab.page.get_by_role("button", name="Back to the model's own layer").click()
    expect(tab.page.locator(".sa-chip")).to_be_hidden()
    tab.ready("modes")
    assert (tab.heat(0) != before).any()


# --- a pair and its difference -----------------------------------------------------------------


def test_two_models_stand_side_by_side_with_their_difference(tab: CompareTab) -> None:
    tab.open(WIDE).view("Side by side", "pair")
    titles = tab.panes.locator("h3").all_inner_texts()
    assert titles == ["demo-cnn, zero-shot", "demo-vit, zero-shot", "Difference"]
    first, second = tab.eval("p.panes.slice(0, 2).map(({pane}) => pane.heat)")
    picture = (WIDE_SIZE[1], WIDE_SIZE[0])
    left = max(first["box"][0], second["box"][0], 0)
    top = max(first["box"][1], second["box"][1], 0)
    right = min(first["box"][2], second["box"][2], picture[0])
    bottom = min(first["box"][3], second["box"][3], picture[1])
    width, height, flat = tab.eval(
        "(({image}) => { const c = image; return [c.width, c.height, [...c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data]]; })(p.panes[2].scene)"
    )
    colours = np.array(flat).reshape(height, width, 4)
    ys = top + (np.arange(height) + 0.5) / height * (bottom - top)
    xs = left + (np.arange(width) + 0.5) / width * (right - left)
    sampled = [
        sample(tab.heat(index), layer["box"], xs, ys) for index, layer in enumerate((first, second))
    ]
    expected = sampled[1] - sampled[0]
    is_clear = np.abs(expected) > 0.05
    warm = colours[..., 0] > colours[..., 2]
    assert (warm == (expected > 0))[is_clear].all()
    numbers = tab.numbers(2)
    assert float(numbers["Mean absolute difference"]) == pytest.approx(
        np.abs(expected).mean(), abs=6e-4
    )
    both = [one > 0.5 for one in sampled]
    overlap = (both[0] & both[1]).sum() / (both[0] | both[1]).sum()
    assert float(numbers["Overlap of the contours (IoU)"]) == pytest.approx(overlap, abs=2e-3)


def sample(values: np.ndarray, box: list[float], xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Bilinear between cell centres, the border held; 0 to 1."""
    rows = (ys - box[1]) / (box[3] - box[1]) * values.shape[0] - 0.5
    columns = (xs - box[0]) / (box[2] - box[0]) * values.shape[1] - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    return map_coordinates(values / 255, grid, order=1, mode="nearest")


def test_two_modes_of_one_model_can_be_the_pair(tab: CompareTab) -> None:
    tab.open().view("Side by side", "pair")
    tab.page.get_by_label("Second model and mode").select_option(label="demo-cnn, fine-tune")
    expect(tab.panes.nth(1).locator("h3")).to_have_text("demo-cnn, fine-tune")
    tab.ready("pair")
    expect(tab.panes.nth(0).locator("h3")).to_have_text("demo-cnn, zero-shot")
    assert tab.numbers(2)["Mean absolute difference"] != "0.000"


# --- free words --------------------------------------------------------------------------------


def test_the_map_follows_the_words_with_their_score_among_the_findings(
    tab: CompareTab, app: App
) -> None:
    tab.open().view("Own words", "words")
    words = "fluid at the right lung base"
    box = tab.page.get_by_label("Words to ask the model")
    expect(tab.panes.nth(0).locator("h3")).not_to_have_text("Own words", timeout=LONG_MS)
    box.fill("")
    box.press_sequentially(words, delay=20)
    expect(tab.panes.nth(0).locator("h3")).to_have_text(f'"{words}"', timeout=LONG_MS)
    maps, scores = told_maps(app, "Phantom 001", "demo-cnn", "gradcam", [words, *FINDINGS])
    assert np.abs(tab.heat(0) / 255 - normalised(maps[0].astype(float))).max() <= 0.5 / 255 + 1e-6
    ranking = tab.page.locator(".sa-ranking li")
    expect(ranking).to_have_count(len(FINDINGS) + 1)
    rows = [row.split("\n") for row in ranking.all_inner_texts()]
    shown = {row[0].strip("“”"): float(row[-1]) for row in rows}
    expected = dict(zip((words, *FINDINGS), scores.tolist(), strict=True))
    assert shown == pytest.approx(expected, abs=1e-3)
    listed = [float(row[-1]) for row in rows]
    assert listed == sorted(listed, reverse=True)
    expect(tab.page.locator(".sa-ranking [aria-current]")).to_contain_text(words)


def told_maps(
    app: App, picture: str, model: str, method: str, names: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Maps and cosines of words and findings, from what the worker kept.

    That these are the network's own is tested beside the code that makes them.
    """
    with Store.open(app.workspace) as store:
        entry = store.models.get(model)
        prompts = load_entry(store, model).prompts
    basis = read_basis(basis_file(app.workspace, app.records[picture], entry, method))
    assert basis is not None
    texts = [prompts.prompts_for(name)[0] if name in FINDINGS else name for name in names]
    rows = [read_text_embedding(text_file(app.workspace, entry, text)) for text in texts]
    return prompt_maps(basis, np.stack([row for row in rows if row is not None]))


def test_words_are_explained_by_the_chosen_method_or_it_is_said_that_it_cannot(
    tab: CompareTab, app: App
) -> None:
    tab.open().view("Own words", "words")
    words = "a thin line"
    tab.page.get_by_label("Words to ask the model").fill(words)
    expect(tab.panes.nth(0).locator("h3")).to_have_text(f'"{words}"', timeout=LONG_MS)
    tab.use_method("HiResCAM")
    tab.wait_for("p.panes[0].pane.caption.some((line) => line.includes('HiResCAM from basis'))")
    maps, _ = told_maps(app, "Phantom 001", "demo-cnn", "hirescam", [words, *FINDINGS])
    assert np.abs(tab.heat(0) / 255 - normalised(maps[0].astype(float))).max() <= 0.5 / 255 + 1e-6
    tab.use_method("EigenCAM")
    instead = "EigenCAM cannot be asked for free words; these are maps of Grad-CAM."
    expect(tab.page.get_by_text(instead)).to_be_visible()
    tab.wait_for("p.panes[0].pane.caption.some((line) => line.includes('Grad-CAM from basis'))")
    tab.use_method("Grad-CAM")
    expect(tab.page.get_by_text(instead)).to_be_hidden()


def test_kept_words_stay_in_the_list_beside_the_next_ones(tab: CompareTab) -> None:
    tab.open().view("Own words", "words")
    box = tab.page.get_by_label("Words to ask the model")
    for words in ("a broken rib", "a metal clip"):
        box.fill(words)
        expect(tab.panes.nth(0).locator("h3")).to_have_text(f'"{words}"', timeout=LONG_MS)
        box.press("Enter")
    expect(tab.page.locator(".sa-rank-kept")).to_contain_text(["a broken rib"])
    expect(tab.page.locator(".sa-rank-asked")).to_contain_text("a metal clip")
    box.fill("")
    expect(tab.panes.nth(0).locator(".sa-notice")).to_contain_text("type words above")


def test_words_that_the_model_cannot_read_are_refused_with_the_reason(tab: CompareTab) -> None:
    tab.open().view("Own words", "words")
    box = tab.page.get_by_label("Words to ask the model")
    box.fill("opacity " * 36)
    state = tab.page.locator(".sa-words-state.sa-bad")
    expect(state).to_be_visible(timeout=LONG_MS)
    assert "tokens" in state.inner_text() or "long" in state.inner_text()
    box.fill("a broken rib")
    expect(tab.panes.nth(0).locator("h3")).to_have_text('"a broken rib"', timeout=LONG_MS)
    expect(state).to_have_count(0)


# --- methods -----------------------------------------------------------------------------------


def test_each_method_says_what_it_is_its_source_and_its_layer(tab: CompareTab) -> None:
    tab.open()
    line = tab.page.locator(".sa-method-text")
    for part in (SALIENCY_METHODS["gradcam"].title, "Selvaraju", "Layer:"):
        expect(line).to_contain_text(part)
    tab.page.get_by_role("button", name="All methods").click()
    cards = tab.page.locator(".sa-methods article")
    expect(cards).to_have_count(len(SALIENCY_METHODS))
    for at, method in enumerate(SALIENCY_METHODS.values()):
        for part in (method.title, method.description, method.source, method.layer_rule):
            expect(cards.nth(at)).to_contain_text(part)
    before = tab.heat(0)
    tab.page.locator(".sa-methods").get_by_role("button", name="Use EigenCAM").click()
    tab.ready("modes")
    expect(tab.page.locator("#compare-method input")).to_have_value("EigenCAM")
    expect(line).to_contain_text("EigenCAM")
    assert (tab.heat(0) != before).any()


# --- files -------------------------------------------------------------------------------------


def test_a_pane_is_saved_with_its_film_map_and_caption(tab: CompareTab, app: App) -> None:
    tab.open(WIDE)
    tab.page.get_by_role("slider", name="Opacity of the maps").fill("0")
    tab.page.locator(".sa-compare input[type=checkbox]").uncheck()
    picture, name = tab.saved(tab.panes.nth(0).locator(".sa-save"))
    assert re.fullmatch(rf"saliency_{app.records[WIDE].image_id[:8]}_cardiomegaly_modes\.png", name)
    frame = tab.eval("(({picture}) => [picture.viewport, picture.view])(p.panes[0])")
    assert frame[1]["scale"] > 0
    height, width = WIDE_SIZE
    scale = 1100 / width
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[1] == 1100 + 48
    # Above the box and away from hatching, cross and text the file shows the film's own greys.
    top = film_top(pixels)
    film = np.asarray(
        Image.fromarray(display_picture(load_radiograph(Path(app.records[WIDE].path)))).resize(
            (1100, round(height * scale)), Image.Resampling.BILINEAR
        )
    ).astype(int)
    rows, columns = slice(20, 120), slice(round(400 * scale), round(500 * scale))
    cut = pixels[top + rows.start : top + rows.stop, 24 + columns.start : 24 + columns.stop]
    assert (cut.max(axis=2) - cut.min(axis=2)).max() <= 2
    assert abs(cut.mean() - film[rows, columns].mean()) < 3
    # The caption is written below it.
    below = pixels[top + round(height * scale) + 20 :]
    assert (below.max(axis=2) > 120).sum() > 500


def film_top(pixels: np.ndarray) -> int:
    """The first row below the titles whose left edge belongs to the film: the ground ends there."""
    ground = np.array([14, 17, 20])
    column = np.abs(pixels[:, 40] - ground).sum(axis=1) > 6
    runs = np.flatnonzero(np.convolve(column, np.ones(60), mode="valid") >= 59)
    return int(runs[0])


@pytest.mark.parametrize(
    ("title", "view"),
    [
        ("All findings", "grid"),
        ("Layers", "layers"),
        ("Side by side", "pair"),
        ("Own words", "words"),
    ],
)
def test_every_view_is_saved_as_one_file(tab: CompareTab, title: str, view: str) -> None:
    tab.open().view(title, view)
    if view == "words":
        expect(tab.panes.nth(0).locator("h3")).not_to_have_text("Own words", timeout=LONG_MS)
    picture, name = tab.saved(tab.page.get_by_role("button", name="Save PNG"))
    assert name.endswith(f"_{view}.png")
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert picture.width >= 640
    assert ((pixels[..., 0] - pixels[..., 2]) > 60).sum() > 2000  # the map's warm colours
    if view == "pair":
        assert ((pixels[..., 2] - pixels[..., 0]) > 40).sum() > 300  # and the difference's blue


def test_a_caption_names_hashes_and_ids_and_nobody(tab: CompareTab, app: App) -> None:
    tab.open(WIDE)
    lines = tab.eval("p.panes.map(({pane}) => pane.caption)")
    image = app.records[WIDE]
    maps = kept(app, WIDE, "demo-cnn", "zs")
    text = "\n".join(lines[0])
    for part in (
        image.image_id,
        image.pixel_sha256[:12],
        str(maps.provenance["weights_sha256"])[:12],
        str(maps.provenance["layer"]),
        "Grad-CAM",
        "Research use only",
        "reading ",
    ):
        assert part in text, part
    everything = json.dumps(lines) + tab.page.evaluate("() => document.title")
    for name in ("doe", "jane", READER.lower(), "/", "png"):
        assert name not in json.dumps(lines).lower().replace("\\n", ""), name
    assert "Wide" not in everything
    tab.view("All findings", "grid")
    assert image.image_id in "\n".join(tab.eval("p.view.sheet().caption"))
    tab.view("Modes", "modes")
    # What is saved bears the id, not the name.
    assert tab.saved(tab.page.get_by_role("button", name="Save PNG"))[1].startswith(
        f"saliency_{image.image_id[:8]}"
    )


# --- waiting, late answers ---------------------------------------------------------------------


def test_the_page_stops_asking_when_everything_is_there(tab: CompareTab) -> None:
    tab.open()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.wait_for_timeout(2500)
    assert [url for url in asked if "queue/join" in url] == []


def test_the_last_of_several_quick_choices_is_the_one_that_stays(tab: CompareTab) -> None:
    tab.open()
    for title in ("All findings", "Layers", "Side by side", "Modes", "All findings"):
        tab.page.get_by_role("button", name=title, exact=True).click()
    tab.ready("grid")
    tab.page.wait_for_timeout(1500)
    assert tab.eval("p.viewName") == "grid"
    pressed = tab.page.locator(".sa-compare .sa-toolbar .sa-segmented [aria-pressed=true]")
    expect(pressed).to_have_text("All findings")


def test_a_choice_that_arrives_after_a_newer_one_changes_nothing(tab: CompareTab) -> None:
    tab.open().view("All findings", "grid")
    tab.eval("p.trigger('choose', { view: 'modes', method: 'eigencam', serial: p.serial - 1 })")
    tab.page.wait_for_timeout(1500)
    tab.ready("grid")
    assert tab.eval("[p.value.view, p.value.options.method]") == ["grid", "gradcam"]


def test_a_choice_that_got_lost_is_asked_again(tab: CompareTab) -> None:
    tab.open()
    tab.eval("p.ownTrigger = p.trigger")
    tab.eval("p.trigger = (name, data) => { if (name !== 'choose') p.ownTrigger(name, data); }")
    tab.page.get_by_role("button", name="All findings", exact=True).click()
    tab.page.wait_for_timeout(300)
    tab.eval("p.trigger = p.ownTrigger")
    assert tab.eval("p.viewName") == "modes"
    tab.ready("grid")
    assert tab.eval("p.pending") is None


def test_zoom_window_and_hiding_are_shared_by_all_panes_of_a_pair(tab: CompareTab) -> None:
    tab.open().view("Side by side", "pair")
    tab.panes.nth(2).locator(".sa-stage").hover()
    tab.page.mouse.wheel(0, -500)
    views = tab.eval("p.panes.map(({picture}) => picture.view)")
    assert views[0] == views[1] == views[2]
    assert views[0]["scale"] > 0
    tab.page.get_by_role("button", name="Hide").click()
    assert tab.eval("p.panes.map(({picture}) => picture.opacity)") == [0, 0, 0]
    expect(tab.panes.nth(0).locator(".sa-contour")).to_be_hidden()


def test_a_hostile_finding_is_text(tab: CompareTab) -> None:
    tab.open(finding=HOSTILE)
    expect(tab.sentence).to_contain_text("demo-cnn beside")
    tab.view("All findings", "grid")
    expect(tab.page.locator(".sa-grid thead th", has_text=HOSTILE)).to_have_count(1)


def test_the_reader_box_is_drawn_where_it_was_marked(tab: CompareTab) -> None:
    tab.open(WIDE)
    rect = tab.panes.first.locator(".sa-box-line").first
    found = [float(rect.get_attribute(name) or "nan") for name in ("x", "y", "width", "height")]
    assert found == [BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]]
    assert base64.b64decode(tab.eval("p.panes[0].pane.heat.values_b64"))
