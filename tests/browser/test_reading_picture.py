"""The picture in a real Chromium, served by the product itself: pixels, window, frame."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Route, expect

from annotations.errors import UnreadableImage
from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.records import Edit, Region
from annotations.regions import shape_box
from annotations.shapes import Shape
from annotations.store import Store
from tests.browser.conftest import READER, PanelPage
from tests.browser.films import add_image, make_workspace
from tests.browser.product import App
from tests.browser.shared_panel import SharedPanel, lend, open_shared, requests_of
from tests.chromium import chromium_path

pytestmark = pytest.mark.browser

SIZE = (600, 500)
TRIANGLE = Shape("polygon", (((100.5, 120), (300, 140.25), (180, 360)),))
ELLIPSE = Shape("ellipse", (((100, 200), (300, 200), (200, 140), (200, 260)),))
PICTURE = "p.viewer.picture"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    names = [*(f"film-{index:02d}.png" for index in range(18)), "film-8bit.png", "film-mono1.dcm"]
    running = App(*make_workspace(tmp_path_factory.mktemp("picture"), names))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opened(browser: Browser, app: App) -> Iterator[SharedPanel]:
    yield from open_shared(browser, app)


@pytest.fixture
def page(opened: SharedPanel) -> Iterator[SharedPanel]:
    yield from lend(opened)


def pixel_hash(page: PanelPage) -> object:
    """The SHA-256 that the page computed of the pixels that it draws."""
    page.page.wait_for_function(
        "() => document.querySelector('.sa-panel').readingPanel.pixelHash !== null"
    )
    return page.panel("p.pixelHash")


def canvas_at_actual_size(page: PanelPage) -> NDArray[np.uint8]:
    """The greys of the canvas with the picture's corner at its own; a pixel for each pixel."""
    width, height, values = page.page.evaluate(
        """() => {
            const { picture } = document.querySelector('.sa-panel').readingPanel.viewer;
            picture.view = { scale: 1 / devicePixelRatio, x: 0, y: 0 };
            picture.draw();
            const { width, height } = picture.canvas;
            const { data } = picture.canvas.getContext('2d').getImageData(0, 0, width, height);
            const greys = new Uint8Array(data.length / 4).map((_, i) => data[4 * i]);
            return [width, height, btoa(greys.reduce((s, v) => s + String.fromCharCode(v), ''))];
        }"""
    )
    greys = np.frombuffer(base64.b64decode(values), dtype=np.uint8)
    return greys.reshape(height, width)


def check_greys(page: PanelPage, path: Path) -> None:
    """What the canvas shows is what the server's display picture holds."""
    expected = display_picture(load_radiograph(path))
    canvas = canvas_at_actual_size(page)
    height, width = (min(a, b) for a, b in zip(canvas.shape, expected.shape, strict=True))
    assert height * width > 100_000
    assert np.array_equal(canvas[:height, :width], expected[:height, :width])


# --- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["film-00.png", "film-mono1.dcm", "film-8bit.png"])
def test_the_pixels_in_the_page_are_those_of_numpy_and_are_shown_in_the_servers_greys(
    page: PanelPage, name: str
) -> None:
    raw = np.ascontiguousarray(load_radiograph(page.server.file(name)).pixels)
    page.visit(name)
    assert pixel_hash(page) == hashlib.sha256(raw.tobytes()).hexdigest()
    check_greys(page, page.server.file(name))


@pytest.mark.real_data
def test_every_kind_of_real_file_reaches_the_page_with_all_its_values(
    page: PanelPage, shared_data: Path
) -> None:
    files = sorted((shared_data / "dicom").iterdir())
    for folder in ("nih_chestxray14/images", "iu_xray/images", "iu_xray/full_size"):
        files.append(min((shared_data / folder).iterdir()))
    kinds = set()
    with Store.open(page.server.workspace) as store:
        for number, path in enumerate(files):
            try:
                record = add_image(store, path, name=f"real-{number:02d}")
            except UnreadableImage:
                continue
            page.server.records[record.name] = record
            kinds.add((path.suffix, record.photometric, record.bits))
    page.page.goto("about:blank")
    real = [name for name in page.server.records if name.startswith("real-")]
    for name in real:
        page.visit(name)
        assert pixel_hash(page) == page.server.records[name].pixel_sha256
        if "modality_lut" in page.server.records[name].path:
            check_greys(page, page.server.file(name))
    assert len(real) == 8 + 3
    assert {(".dcm", "MONOCHROME1", bits) for bits in (8, 10, 15)} <= kinds
    assert {(".dcm", "MONOCHROME2", 8), (".png", "MONOCHROME2", 8)} <= kinds


def test_a_preview_is_shown_until_the_pixels_are_there(page: PanelPage) -> None:
    page.visit("film-16.png")
    page.page.reload()  # nothing is fetched ahead of film-02
    page.await_case("film-16.png")
    held: list[Route] = []
    page.page.route("**/pixels", lambda route: held.append(route))
    page.page.locator(".sa-rows button", has_text="film-02.png").click()
    expect(page.page.locator(".sa-title")).to_have_text("film-02.png")  # its own times from here on
    page.page.wait_for_function(
        "() => document.querySelector('.sa-panel').readingPanel.timing.previewMs > 0"
    )
    assert page.panel(f"{PICTURE}.raster") is None
    page.panel(f"({PICTURE}.draw(), null)")
    assert canvas_at_actual_size(page).std() > 10  # the preview, not black
    expect(page.page.locator(".sa-panel")).to_have_class(re.compile("sa-is-loading"))
    page.drag((100, 100), (200, 200))
    for route in held:
        route.continue_()
    page.await_case("film-02.png")
    assert page.panel(f"{PICTURE}.preview") is None
    expect(page.page.locator(".sa-panel")).not_to_have_class(re.compile("sa-is-loading"))
    page.saved()
    assert page.server.boxes("film-02.png") == [("Cardiomegaly", (100, 100, 200, 200))]


def test_the_next_case_is_fetched_ahead_and_no_picture_comes_twice(page: PanelPage) -> None:
    fetched = requests_of(page.page, "/pixels")
    page.visit("film-04.png")
    ahead = page.server.records["film-05.png"].image_id
    page.page.wait_for_function(
        "(id) => document.querySelector('.sa-panel').readingPanel.pixels.cases.get(id)?.isLoaded",
        arg=ahead,
    )
    n_fetched = len(fetched)
    page.press("j")
    page.await_case("film-05.png")
    page.press("k")
    page.await_case("film-04.png")
    page.press("ArrowDown")
    assert len(set(fetched)) == len(fetched)
    mine = [page.server.records[name].image_id for name in ("film-04.png", "film-05.png")]
    assert [url for url in fetched[n_fetched:] if any(one in url for one in mine)] == []


# --- window, zoom, frame -----------------------------------------------------------------------


def test_window_presets_inversion_and_zoom_change_the_display_only(page: PanelPage) -> None:
    name = "film-mono1.dcm"
    page.visit(name)
    version = page.server.reading(name).version
    info = page.page.locator(".sa-info")
    names = page.page.locator(".sa-presets option").all_text_contents()
    assert {"NORMAL", "HARDER", "Lung", "Bone", "Mediastinum", "Full range"} <= set(names)
    expect(info).to_contain_text("W 3200 L 2000".replace(" L", "  L"))
    page.press("p")
    expect(info).to_contain_text("W 1500")
    page.press("i")
    expect(info).to_contain_text("inverted")
    page.drag((200, 200), (260, 200), button="right")
    expect(info).not_to_contain_text("W 1500")
    expect(page.page.locator(".sa-presets")).to_have_value("-1")
    page.press("r")
    expect(info).to_contain_text("W 3200")
    expect(info).not_to_contain_text("inverted")
    for key, shown in (("]", "W 3520"), ("[", "W 3200"), (".", "L 2160"), (",", "L 2000")):
        page.press(key)
        expect(info).to_contain_text(shown)
    page.press("Shift+P")
    expect(info).not_to_contain_text("W 3200")
    page.page.locator(".sa-presets").select_option("Lung")
    expect(info).not_to_contain_text("W 3200")
    page.press("r")
    expect(page.page.locator(".sa-scale-bar")).to_contain_text("cm")
    page.press("m")
    page.drag((100, 300), (140, 300))
    expect(page.page.locator(".sa-ruler text")).to_have_text("10.0 mm")
    assert page.server.reading(name).version == version


def test_the_wheel_zooms_at_the_cursor_and_the_middle_button_pans(page: PanelPage) -> None:
    page.visit("film-06.png")
    fitted = page.panel(f"{PICTURE}.view")
    near = page.point(150, 400)
    cursor = (round(near[0]), round(near[1]))  # a wheel's place is in whole pixels
    page.page.mouse.move(*cursor)
    page.page.mouse.wheel(0, -500)  # it does not wait for the page
    page.page.wait_for_function(
        "(scale) => document.querySelector('.sa-panel').readingPanel.viewer.picture.view.scale"
        " > scale",
        arg=fitted["scale"],  # type: ignore[index,call-overload]
    )
    zoomed = page.panel(f"{PICTURE}.view")
    scale = fitted["scale"]  # type: ignore[index,call-overload]
    under = [
        at + (now - was) / scale for at, now, was in zip((150, 400), cursor, near, strict=True)
    ]
    assert page.point(*under) == pytest.approx(cursor, abs=0.05)
    assert zoomed["scale"] == pytest.approx(scale * np.exp(0.75))  # type: ignore[index,call-overload]
    at = page.point(200, 300)
    page.page.mouse.move(*at)
    page.page.mouse.down(button="middle")
    page.page.mouse.move(at[0] + 35, at[1] - 20, steps=3)
    page.page.mouse.up(button="middle")
    assert page.point(200, 300) == pytest.approx((at[0] + 35, at[1] - 20), abs=0.01)
    page.page.keyboard.down("Space")
    page.page.mouse.down()
    page.page.mouse.move(at[0] + 5, at[1] + 10, steps=3)
    page.page.mouse.up()
    page.page.keyboard.up("Space")
    assert page.point(200, 300) == pytest.approx((at[0] + 5, at[1] + 10), abs=0.01)
    assert page.shown() == []
    page.press("a")
    assert page.panel(f"{PICTURE}.view.scale") == 1
    page.press("f")
    assert page.panel(f"{PICTURE}.view") == fitted


def test_proportions_are_kept_in_every_window_and_on_a_screen_that_becomes_denser(
    page: PanelPage,
) -> None:
    page.visit("film-07.png")
    shape = f"""(() => {{
        const {{ canvas, host, view }} = {PICTURE};
        const box = canvas.getBoundingClientRect();
        return [canvas.width / box.width, canvas.height / box.height,
            box.width - host.clientWidth, box.height - host.clientHeight, view.scale,
            Math.min(host.clientWidth / 500, host.clientHeight / 600)];
    }})()"""
    for width, height in ((1366, 768), (900, 700), (1900, 600)):
        page.page.set_viewport_size({"width": width, "height": height})
        page.page.wait_for_function(
            "() => { const canvas = document.querySelector('.sa-panel .sa-canvas');"
            " return canvas.width === canvas.clientWidth"
            " && canvas.height === canvas.clientHeight; }"
        )
        x, y, *rest, scale, fit = page.panel(shape)  # type: ignore[misc]
        assert [x, y] == pytest.approx([1, 1], abs=0.003)
        assert rest == pytest.approx([0, 0], abs=0.5)
        assert scale == pytest.approx(fit)
    session = page.page.context.new_cdp_session(page.page)
    metrics = {"width": 1400, "height": 900, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", metrics)
    page.page.wait_for_function(
        "() => { const canvas = document.querySelector('.sa-panel .sa-canvas');"
        " return Math.abs(canvas.width - 2 * canvas.clientWidth) <= 1; }"
    )
    page.press("a")
    assert page.panel(f"{PICTURE}.view.scale") == 0.5  # a pixel of the picture is one of the screen
    check_greys(page, page.server.file("film-07.png"))
    session.send("Emulation.clearDeviceMetricsOverride")
    session.detach()


def test_the_preview_is_a_small_jpeg_of_the_default_display(page: PanelPage) -> None:
    image_id = page.server.records["film-03.png"].image_id
    page.visit("film-03.png")
    answer = page.page.request.get(f"{page.server.url}audit/images/{image_id}/preview")
    assert answer.headers["content-type"] == "image/jpeg"
    assert len(answer.body()) < 100_000
    expected = display_picture(load_radiograph(page.server.file("film-03.png")))
    file = page.server.workspace.root.parent / "preview.jpg"
    file.write_bytes(answer.body())
    with Image.open(file) as preview:
        assert preview.size == expected.shape[::-1]
        difference = np.asarray(preview, dtype=int) - expected
    assert np.abs(difference).mean() < 3


# --- the page around it ------------------------------------------------------------------------


def test_a_new_case_neither_fades_the_panel_nor_builds_it_anew(page: PanelPage) -> None:
    page.visit("film-08.png")
    page.page.evaluate(
        """() => {
            const canvas = document.querySelector('.sa-panel .sa-canvas');
            const seen = window.seenOpacities = { least: 1, n: 0, canvas, isWatched: true };
            const look = () => {
                let shown = 1;
                for (let at = canvas; at; at = at.parentElement) {
                    shown *= getComputedStyle(at).opacity;
                }
                seen.least = Math.min(seen.least, shown);
                seen.n += 1;
                if (seen.isWatched) requestAnimationFrame(look);
            };
            look();
        }"""
    )
    page.press("j")
    page.await_case("film-09.png")
    page.drag((100, 100), (200, 200))
    page.saved()
    least, n_looks, is_same = page.page.evaluate(
        """() => {
            const seen = window.seenOpacities;
            seen.isWatched = false;
            const { canvas } = document.querySelector('.sa-panel').readingPanel.viewer.picture;
            return [seen.least, seen.n, seen.canvas === canvas && canvas.isConnected];
        }"""
    )
    assert (least, is_same) == (1, True)
    assert n_looks > 3


def violations(page: PanelPage) -> list[tuple[str, str]]:
    """What axe-core finds wrong in the tab, as (rule, element)."""
    found: dict[str, Any] = Axe().run(page.page).response
    return [
        (rule["id"], node["html"][:200]) for rule in found["violations"] for node in rule["nodes"]
    ]


def test_axe_finds_nothing_wrong_with_a_reading_its_filters_and_the_shortcut_sheet(
    page: PanelPage,
) -> None:
    page.visit("film-mono1.dcm")
    page.drag((100, 100), (200, 200))
    page.press("w")
    page.drag((300, 300), (400, 400))
    page.press("Escape")
    page.click(150, 150)
    page.saved()
    assert violations(page) == []
    page.press("Escape", "?")
    expect(page.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert violations(page) == []
    page.press("Escape", "Control+Enter")
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
    page.page.locator("#read-filter").get_by_role("button").first.click()
    expect(page.page.locator("#read-view input")).to_be_visible()
    assert violations(page) == []
    page.page.locator("#read-filter").get_by_role("button").first.click()


# --- outlines from a source --------------------------------------------------------------------


def put_shape(page: PanelPage, name: str, shape: Shape) -> Region:
    """Store a region with an outline in the reader's draft, as an import would."""
    region = Region("r1", "Consolidation", "definite", shape_box(shape, SIZE), "", shape)
    with Store.open(page.server.workspace) as store:
        image = page.server.records[name].image_id
        store.readings.apply(Edit(f"import-{name[:7]}", 1, image, 0, "put", region=region), READER)
    return region


def stored(page: PanelPage, name: str) -> Region:
    (region,) = page.server.reading(name).regions
    return region


def outline_on_screen(page: PanelPage) -> list[float]:
    """Left, top, right and bottom of the drawn outline in picture pixels."""
    left, top = page.point(0, 0)
    scale = float(str(page.panel("p.viewer.picture.view.scale")))
    frame = page.page.locator(".sa-outline").evaluate(
        # Of the path alone, without its stroke.
        """path => { const box = path.getBBox(), m = path.getScreenCTM();
            return [m.e + m.a * box.x, m.f + m.d * box.y,
                    m.e + m.a * (box.x + box.width), m.f + m.d * (box.y + box.height)]; }"""
    )
    origin = [left, top, left, top]
    return [(value - start) / scale for value, start in zip(frame, origin, strict=True)]


@pytest.mark.parametrize(("name", "shape"), [("film-10.png", TRIANGLE), ("film-11.png", ELLIPSE)])
def test_an_outline_is_drawn_where_it_lies_also_while_zoomed(
    page: PanelPage, name: str, shape: Shape
) -> None:
    region = put_shape(page, name, shape)
    page.visit(name)

    assert page.shown() == [list(region.box.corners)]
    assert outline_on_screen(page) == pytest.approx(shape.extent, abs=0.1)
    page.page.mouse.move(*page.point(200, 200))
    page.page.mouse.wheel(0, -600)
    assert outline_on_screen(page) == pytest.approx(shape.extent, abs=0.1)
    what = "an ellipse" if shape.kind == "ellipse" else "an outline"
    x_min, y_min, x_max, y_max = region.box.corners
    expect(page.page.locator(".sa-box")).to_have_attribute(
        "aria-label",
        f"Consolidation, definite, with {what}, x {x_min} to {x_max}, y {y_min} to {y_max} pixels",
    )


def test_other_changes_keep_the_outline(page: PanelPage) -> None:
    name = "film-12.png"
    put_shape(page, name, TRIANGLE)
    page.visit(name)
    page.click(200, 200)
    page.press("8", "e")
    page.saved()

    assert stored(page, name).shape == TRIANGLE
    assert (stored(page, name).finding, stored(page, name).certainty) == ("Fracture", "possible")


def test_a_change_of_the_box_drops_the_outline_only_after_saying_so(page: PanelPage) -> None:
    name = "film-13.png"
    region = put_shape(page, name, TRIANGLE)
    page.visit(name)
    page.click(200, 200)

    page.drag((200, 200), (230, 220))
    expect(page.page.locator(".sa-message")).to_contain_text("an outline from its source")
    assert stored(page, name) == region
    assert page.shown() == [list(region.box.corners)]

    page.drag((200, 200), (230, 220))
    page.saved()
    assert stored(page, name).shape is None
    assert stored(page, name).box.corners == (130, 140, 330, 380)
    expect(page.page.locator(".sa-has-outline")).to_have_count(0)

    page.press("Control+z")
    page.saved()
    assert stored(page, name) == region
    expect(page.page.locator(".sa-has-outline")).to_have_count(1)


def test_an_arrow_key_held_down_does_not_run_over_the_warning(page: PanelPage) -> None:
    name = "film-14.png"
    region = put_shape(page, name, TRIANGLE)
    page.visit(name)
    page.click(200, 200)

    for _ in range(12):  # without a release in between the later ones are repeats
        page.page.keyboard.down("ArrowRight")
    page.page.keyboard.up("ArrowRight")
    expect(page.page.locator(".sa-message")).to_contain_text("an outline from its source")
    assert page.shown() == [list(region.box.corners)]
    assert stored(page, name) == region

    page.press("ArrowRight")
    page.saved()
    assert stored(page, name).shape is None
    assert stored(page, name).box.corners == (101, 120, 301, 360)


def test_a_region_drawn_by_hand_has_no_outline(page: PanelPage) -> None:
    name = "film-15.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.saved()

    assert stored(page, name).shape is None
    expect(page.page.locator(".sa-has-outline")).to_have_count(0)
