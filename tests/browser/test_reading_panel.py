"""The reading panel in a real Chromium: what is drawn is what is stored, and nothing is lost."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.imaging.radiograph import pixel_sha256
from annotations.store import Store
from tests.browser.conftest import READER, PanelPage, Server, _new_page

pytestmark = pytest.mark.browser
LEFT_BEHIND = (
    "film-00.png was not committed: it was left while the commit waited. Open it and commit again."
)


# --- drawing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["film-00.png", "film-mono1.dcm", "film-8bit.png"])
def test_a_drawn_box_is_stored_and_shown_again_at_the_same_integer_pixels(
    page: PanelPage, name: str
) -> None:
    page.visit(name)
    page.drag((101, 122), (233, 310))
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (101, 122, 233, 310))]
    page.page.reload()
    page.await_case(name)
    assert page.shown() == [[101, 122, 233, 310]]
    assert page.server.boxes(name) == [("Cardiomegaly", (101, 122, 233, 310))]


def test_a_box_drawn_while_zoomed_and_panned_has_the_pixels_under_the_pointer(
    page: PanelPage,
) -> None:
    page.visit("film-01.png")
    page.page.mouse.move(*page.point(250, 300))
    page.page.mouse.wheel(0, -900)
    page.page.keyboard.down("Space")
    page.drag((250, 300), (230, 280))
    page.page.keyboard.up("Space")
    assert page.shown() == []
    page.drag((241.2, 290.7), (262.6, 301.4))
    page.saved()
    assert page.server.boxes("film-01.png") == [("Cardiomegaly", (241, 291, 263, 301))]


def test_a_drag_from_the_lower_right_and_beyond_the_picture_is_clipped(page: PanelPage) -> None:
    page.visit("film-02.png")
    page.press("-", "-")
    page.drag((520, 630), (400.2, 450.4))
    page.saved()
    assert page.server.boxes("film-02.png") == [("Cardiomegaly", (400, 450, 500, 600))]


def test_a_box_under_two_pixels_is_not_kept_and_the_reader_is_told(page: PanelPage) -> None:
    page.visit("film-03.png")
    page.press("+", "+", "+", "+", "+", "+", "+", "+")
    page.drag((250, 300), (251.2, 310))
    expect(page.page.locator(".sa-message")).to_contain_text("smaller than 2 pixels")
    assert page.server.reading("film-03.png").version == 0


def test_boxes_can_be_moved_resized_nudged_relabelled_and_deleted(page: PanelPage) -> None:
    name = "film-04.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.saved()
    page.drag((150, 150), (180, 140))  # inside of the selected box: moves it
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (130, 90, 230, 190))]
    page.drag((230, 190), (260, 230))  # lower right handle
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (130, 90, 260, 230))]
    page.drag((195, 90), (195, 60))  # upper handle
    page.press("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft")
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (122, 61, 252, 231))]
    page.press("Escape")
    page.click(180, 150)  # picked, no longer just drawn: the key is for this box
    page.press("8", "e")
    page.saved()
    region = page.server.reading(name).regions[0]
    assert (region.finding, region.certainty) == ("Fracture", "possible")
    page.press("Delete")
    page.saved()
    assert page.server.boxes(name) == []
    assert page.shown() == []


def test_the_tool_stays_and_a_key_chooses_the_finding_of_the_next_box_only(page: PanelPage) -> None:
    name = "film-05.png"
    page.visit(name)
    page.press("2")
    page.drag((50, 50), (100, 100))
    page.press("7")
    page.drag((300, 300), (360, 380))
    page.saved()
    assert page.server.boxes(name) == [
        ("Lung Opacity", (50, 50, 100, 100)),
        ("Pleural Effusion", (300, 300, 360, 380)),
    ]
    page.press("3", "Enter")
    page.saved()
    assert [finding for finding, _ in page.server.boxes(name)] == ["Lung Opacity", "Lung Lesion"]


def test_tab_walks_the_boxes_and_shows_where_the_focus_is(page: PanelPage) -> None:
    page.visit("film-06.png")
    page.drag((50, 50), (100, 100))
    page.drag((300, 300), (360, 380))
    page.press("Escape", "Tab")
    expect(page.page.locator(".sa-box.sa-selected")).to_have_attribute("data-box", "50 50 100 100")
    page.press("Tab")
    expect(page.page.locator(".sa-box.sa-selected")).to_have_attribute(
        "data-box", "300 300 360 380"
    )
    page.press("Shift+Tab")
    expect(page.page.locator(".sa-box.sa-selected")).to_have_attribute("data-box", "50 50 100 100")
    label = page.page.locator(".sa-box.sa-selected").get_attribute("aria-label")
    assert label == "Cardiomegaly, definite, x 50 to 100, y 50 to 100 pixels"


def test_undo_and_redo_are_saved_like_any_edit(page: PanelPage) -> None:
    name = "film-07.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.drag((150, 150), (160, 170))
    page.saved()
    page.press("Control+z")
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (100, 100, 200, 200))]
    page.press("Control+z")
    page.saved()
    assert page.server.boxes(name) == []
    page.press("Control+y", "Control+Shift+Z")
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (110, 120, 210, 220))]
    assert page.server.reading(name).version == 6
    assert page.server.n_logged(name, "put") == 5
    assert page.server.n_logged(name, "delete") == 1


def test_a_burst_of_edits_is_stored_completely_and_in_order(page: PanelPage) -> None:
    name = "film-08.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    for _ in range(60):
        page.press("ArrowRight", "ArrowDown")
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (160, 160, 260, 260))]
    assert page.server.reading(name).version == 121


def test_a_pinch_zooms_and_leaves_no_box(page: PanelPage) -> None:
    name = "film-09.png"
    page.visit(name)
    before = page.panel("p.viewer.picture.view.scale")
    session = page.page.context.new_cdp_session(page.page)
    x, y = page.point(250, 300)

    def touch(kind: str, *spread: float) -> None:
        points = [{"x": x + offset, "y": y, "id": index} for index, offset in enumerate(spread)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -20)
    touch("touchMove", -30)
    touch("touchStart", -30, 30)
    for spread in (40, 60, 80, 100):
        touch("touchMove", -spread, spread)
    touch("touchEnd")
    assert page.panel("p.viewer.picture.view.scale") == pytest.approx(before * 100 / 30, rel=0.05)
    assert page.shown() == []
    assert page.server.reading(name).version == 0


# --- No Finding, commit, correction ------------------------------------------------------------


def test_no_finding_and_boxes_exclude_each_other_with_a_reason(page: PanelPage) -> None:
    name = "film-10.png"
    page.visit(name)
    page.press("n")
    page.saved()
    assert page.server.reading(name).no_finding
    page.drag((100, 100), (200, 200))
    expect(page.page.locator(".sa-message")).to_contain_text("excludes boxes")
    assert page.shown() == []
    page.press("n")
    page.drag((100, 100), (200, 200))
    page.saved()
    page.press("n")
    expect(page.page.locator(".sa-message")).to_contain_text("exclude each other")
    page.saved()
    reading = page.server.reading(name)
    assert (reading.no_finding, len(reading.regions)) == (False, 1)


def test_a_commit_locks_the_reading_and_correct_opens_it_as_a_new_version(page: PanelPage) -> None:
    name = "film-11.png"
    page.visit(name)
    page.press("Control+Enter")
    expect(page.page.locator(".sa-message")).to_contain_text("Mark what you see")
    page.drag((100, 100), (200, 200))
    page.page.get_by_role("button", name="Commit reading").click()
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
    row = page.page.locator(".sa-rows li", has_text=name)
    expect(row.locator(".sa-badge")).to_have_text("committed")
    page.drag((300, 300), (400, 400))
    page.press("Delete")
    assert page.shown() == [[100, 100, 200, 200]]
    assert page.server.reading(name).status == "committed"
    expect(page.page.get_by_role("button", name="See where the models looked")).to_be_visible()
    page.page.get_by_role("button", name="Correct").click()
    page.drag((300, 300), (400, 400))
    page.page.get_by_role("button", name="Commit the correction").click()
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("revised")
    with Store.open(page.server.workspace) as store:
        commits = store.readings.of_image(page.server.records[name].image_id)
    assert [len(one.regions) for one in commits] == [1, 2]


def test_an_undo_that_is_refused_is_said_and_stays_the_next_step(page: PanelPage) -> None:
    page.visit("film-24.png")
    page.drag((100, 100), (200, 200))
    page.press("Delete")
    page.saved()
    # As when another window set it and this page was told.
    page.panel("Object.assign(p.model, {no_finding: true})")
    page.press("Control+z")
    expect(page.page.locator(".sa-message")).to_contain_text("Nothing was taken back")
    assert page.shown() == []
    page.panel("Object.assign(p.model, {no_finding: false})")
    page.press("Control+z")
    page.saved()
    assert page.shown() == [[100, 100, 200, 200]]


def test_a_commit_that_waits_holds_up_no_other_case_and_is_not_lost_silently(
    own_page: PanelPage,
) -> None:
    page = own_page
    page.visit("film-00.png")
    held = []

    def hold_the_first(route: object) -> None:
        if held:
            route.continue_()  # type: ignore[attr-defined]
        else:
            held.append(route)

    page.page.route("**/edits", hold_the_first)
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    message = page.page.locator(".sa-message")
    expect(message).to_contain_text("waits until every change is saved")
    page.open("film-01.png")
    page.drag((50, 50), (90, 90))
    page.press("Control+Enter")
    expect(message).to_contain_text("waits until every change is saved")
    held[0].continue_()
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
    assert page.server.reading("film-01.png").commits == 1
    expect(message).to_have_text(LEFT_BEHIND)
    assert page.server.reading("film-00.png").commits == 0


def test_leaving_a_case_whose_commit_waits_is_said(own_page: PanelPage) -> None:
    own_page.visit("film-00.png")
    held = []
    own_page.page.route("**/edits", lambda route: held.append(route))
    own_page.drag((100, 100), (200, 200))
    own_page.press("Control+Enter")
    own_page.open("film-01.png")
    held[0].continue_()
    expect(own_page.page.locator(".sa-message")).to_have_text(LEFT_BEHIND)
    assert own_page.server.reading("film-00.png").commits == 0


def test_a_commit_waits_for_edits_that_are_not_saved_yet(page: PanelPage) -> None:
    name = "film-12.png"
    page.visit(name)
    held = []
    page.page.route("**/edits", lambda route: held.append(route))
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    expect(page.page.locator(".sa-message")).to_contain_text("waits until every change is saved")
    assert page.server.reading(name).version == 0
    held[0].continue_()
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
    assert page.server.reading(name).commits == 1


# --- several pages, other cases ----------------------------------------------------------------


def test_an_outdated_edit_is_refused_and_what_was_drawn_can_be_made_again(
    page: PanelPage, browser: Browser, server: Server
) -> None:
    name = "film-13.png"
    page.visit(name)
    for other in _new_page(browser, server):
        other.visit(name)
        other.drag((50, 50), (120, 120))
        other.saved()
        page.drag((300, 300), (360, 360))
        expect(page.page.locator(".sa-conflict")).to_contain_text("changed elsewhere")
        assert page.shown() == [[50, 50, 120, 120]]
        assert len(server.boxes(name)) == 1
        # The decision survives a reload, too.
        page.page.reload()
        page.await_case(name)
        page.page.get_by_role("button", name="Make mine again").click()
        page.saved()
        expect(page.page.locator(".sa-conflict")).to_be_hidden()
        assert [box for _, box in server.boxes(name)] == [
            (50, 50, 120, 120),
            (300, 300, 360, 360),
        ]


def test_the_next_case_never_shows_boxes_of_the_case_before(page: PanelPage) -> None:
    page.visit("film-14.png")
    page.drag((100, 100), (200, 200))
    page.drag((300, 300), (400, 400))
    page.saved()
    page.press("j")
    page.await_case("film-15.png")
    assert page.shown() == []
    expect(page.page.locator(".sa-box-list li")).to_have_count(0)
    page.press("Control+z")
    page.drag((10, 10), (60, 60))
    page.saved()
    page.press("k")
    page.await_case("film-14.png")
    assert page.shown() == [[100, 100, 200, 200], [300, 300, 400, 400]]
    assert page.server.boxes("film-15.png") == [("Cardiomegaly", (10, 10, 60, 60))]


def test_the_worklist_filters_searches_and_keeps_its_place(page: PanelPage) -> None:
    page.visit("film-16.png")
    page.drag((100, 100), (200, 200))
    page.saved()
    expect(page.page.locator(".sa-rows [aria-current=true]")).to_contain_text("film-16.png")
    search = page.page.locator("#read-search").get_by_role("textbox")
    search.fill("mono1")
    expect(page.page.locator(".sa-rows li")).to_have_count(1)
    expect(page.page.locator(".sa-summary")).to_contain_text("1 match")
    search.fill("")
    expect(page.page.locator(".sa-rows li")).to_have_count(len(page.server.records))
    page.page.reload()
    page.await_case("film-16.png")


def test_the_picture_stays_when_a_tab_is_left_and_opened_again(page: PanelPage) -> None:
    page.visit("film-17.png")
    page.drag((100, 100), (200, 200))
    page.saved()
    page.page.get_by_role("tab", name="Compare").click()
    page.page.get_by_role("tab", name="Read").click()
    page.await_case("film-17.png")
    assert page.shown() == [[100, 100, 200, 200]]
    page.drag((300, 300), (400, 400))
    page.saved()
    assert len(page.server.boxes("film-17.png")) == 2


# --- the picture -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["film-18.png", "film-mono1.dcm", "film-8bit.png"])
def test_the_pixels_in_the_page_are_those_of_numpy(page: PanelPage, name: str) -> None:
    radiograph = load_radiograph(page.server.file(name))
    page.visit(name)
    page.page.wait_for_function(
        "() => document.querySelector('.sa-panel').readingPanel.pixelHash !== null"
    )
    assert page.panel("p.pixelHash") == pixel_sha256(radiograph)
    raw = np.ascontiguousarray(radiograph.pixels)
    assert page.panel("p.pixelHash") == hashlib.sha256(raw.tobytes()).hexdigest()


@pytest.mark.parametrize("name", ["film-18.png", "film-mono1.dcm", "film-8bit.png"])
def test_the_canvas_shows_the_same_greys_as_the_servers_display_picture(
    page: PanelPage, name: str
) -> None:
    expected = display_picture(load_radiograph(page.server.file(name)))
    page.visit(name)
    page.press("a")  # 1:1, so that a pixel of the picture is one of the canvas
    x, y = (float(value) for value in page.point(0, 0))
    frame = page.page.locator(".sa-panel .sa-stage").bounding_box()
    assert frame is not None
    left, top = round(x - frame["x"]), round(y - frame["y"])
    page.page.evaluate("() => new Promise(requestAnimationFrame)")
    shown = page.page.evaluate(
        """([left, top]) => {
            const { picture } = document.querySelector('.sa-panel').readingPanel.viewer;
            picture.setView({ scale: 1, x: left, y: top });
            picture.draw();
            const { width, height } = picture.canvas;
            const data = picture.canvas.getContext('2d').getImageData(0, 0, width, height).data;
            return [width, height, Array.from(data.filter((_, i) => i % 4 === 0))];
        }""",
        [left, top],
    )
    width, height, values = shown
    canvas = np.array(values, dtype=np.uint8).reshape(height, width)
    rows = slice(max(0, -top), min(expected.shape[0], height - top))
    columns = slice(max(0, -left), min(expected.shape[1], width - left))
    part = canvas[rows.start + top : rows.stop + top, columns.start + left : columns.stop + left]
    assert part.size > 100_000
    assert np.array_equal(part, expected[rows, columns])


def test_window_presets_inversion_and_zoom_change_the_display_only(page: PanelPage) -> None:
    name = "film-mono1.dcm"
    page.visit(name)
    version = page.server.reading(name).version
    info = page.page.locator(".sa-info")
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
    expect(page.page.locator(".sa-scale-bar")).to_contain_text("cm")
    page.press("m")
    page.drag((100, 300), (140, 300))
    expect(page.page.locator(".sa-ruler text")).to_have_text("10.0 mm")
    assert page.server.reading(name).version == version


def test_the_preview_is_a_small_jpeg_of_the_default_display(page: PanelPage) -> None:
    image_id = page.server.records["film-18.png"].image_id
    page.visit("film-18.png")
    answer = page.page.request.get(f"{page.server.url}audit/images/{image_id}/preview")
    assert answer.headers["content-type"] == "image/jpeg"
    assert len(answer.body()) < 100_000
    expected = display_picture(load_radiograph(page.server.file("film-18.png")))
    file = page.server.workspace.root.parent / "preview.jpg"
    file.write_bytes(answer.body())
    with Image.open(file) as preview:
        assert preview.size == expected.shape[::-1]
        difference = np.asarray(preview, dtype=int) - expected
    assert np.abs(difference).mean() < 3


def test_holding_h_hides_all_boxes(page: PanelPage) -> None:
    page.visit("film-19.png")
    page.drag((100, 100), (200, 200))
    line = page.page.locator(".sa-box-line").first
    expect(line).to_be_visible()
    page.page.keyboard.down("h")
    expect(line).to_be_hidden()
    page.page.keyboard.up("h")
    expect(line).to_be_visible()


# --- safety ------------------------------------------------------------------------------------


def test_a_finding_that_is_html_is_shown_as_text(page: PanelPage) -> None:
    name = "film-20.png"
    page.visit(name)
    page.press("/")
    page.page.keyboard.type("onerror")
    page.press("Enter")
    page.drag((100, 100), (300, 300))
    page.saved()
    finding = "<img src=x onerror=window.harmed=1>"
    assert page.server.boxes(name)[0][0] == finding
    page.page.reload()
    page.await_case(name)
    expect(page.page.locator(".sa-box-tag").first).to_have_text(finding)
    expect(page.page.locator(".sa-box-list")).to_contain_text(finding)
    assert page.page.evaluate("window.harmed") is None
    assert page.page.locator(".sa-panel img, .sa-worklist img").count() == 0


def test_a_patient_history_is_shown_as_text(page: PanelPage) -> None:
    page.visit("film-00.png")
    expect(page.page.locator(".sa-texts")).to_contain_text("<b>Smoker</b>")


def test_the_shortcut_sheet_opens_and_closes_by_key(page: PanelPage) -> None:
    page.visit("film-21.png")
    page.press("?")
    expect(page.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.press("Escape")
    expect(page.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_keys_typed_into_a_field_are_text(page: PanelPage) -> None:
    name = "film-22.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.press("t")
    page.page.keyboard.type("njk 123")
    page.press("Escape")
    page.saved()
    region = page.server.reading(name).regions[0]
    assert (region.note, region.finding) == ("njk 123", "Cardiomegaly")
    assert not page.server.reading(name).no_finding


# --- faults ------------------------------------------------------------------------------------


def test_edits_made_while_the_server_is_gone_are_replayed_exactly_once(own_page: PanelPage) -> None:
    name = "film-00.png"
    own_page.visit(name)
    own_page.drag((50, 50), (100, 100))
    own_page.saved()
    own_page.server.kill()
    own_page.drag((200, 200), (260, 280))
    own_page.press("ArrowRight", "ArrowRight")
    state = own_page.page.locator(".sa-saved")
    expect(state).to_have_attribute("data-state", "retrying")
    expect(state).to_have_text(re.compile("Not saved - retrying .*3 changes"))
    own_page.server.start()
    own_page.saved()
    assert own_page.server.boxes(name) == [
        ("Cardiomegaly", (50, 50, 100, 100)),
        ("Cardiomegaly", (202, 200, 262, 280)),
    ]
    assert own_page.server.reading(name).version == 4
    assert own_page.server.n_logged(name, "put") == 4


def test_edits_of_a_closed_page_are_sent_by_the_next_one(
    own_page: PanelPage, own_server: Server
) -> None:
    name = "film-00.png"
    own_page.visit(name)
    own_server.kill()
    own_page.drag((200, 200), (260, 280))
    expect(own_page.page.locator(".sa-saved")).to_have_attribute("data-state", "retrying")
    own_page.page.close()
    own_server.start()
    assert own_server.boxes(name) == []
    again = PanelPage(own_page.page.context.new_page(), own_server)
    again.visit(name)
    again.saved()
    assert own_server.boxes(name) == [("Cardiomegaly", (200, 200, 260, 280))]
    assert again.shown() == [[200, 200, 260, 280]]
    stored = again.page.evaluate("JSON.stringify(localStorage)")
    assert "Cardiomegaly" not in stored
    assert READER not in stored


def test_an_edit_whose_acknowledgement_was_lost_is_stored_once(own_page: PanelPage) -> None:
    name = "film-01.png"
    own_page.visit(name)
    dropped = []

    def drop_first_answer(route: object) -> None:
        if not dropped:
            dropped.append(route.fetch())  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    own_page.page.route("**/edits", drop_first_answer)
    own_page.drag((50, 50), (100, 100))
    own_page.drag((200, 200), (260, 280))
    own_page.saved()
    assert dropped[0].status == 200
    assert own_page.server.reading(name).version == 2
    assert own_page.server.n_logged(name, "put") == 2


def test_a_change_that_is_refused_after_its_case_was_left_is_said(own_page: PanelPage) -> None:
    own_page.visit("film-00.png")
    has_left = []

    def refuse_once_the_case_was_left(route: object) -> None:
        if has_left:
            answer = {"ok": False, "message": "no such picture"}
            route.fulfill(status=422, json=answer)  # type: ignore[attr-defined]
        else:
            route.abort()  # type: ignore[attr-defined]

    own_page.page.route("**/edits", refuse_once_the_case_was_left)
    own_page.drag((50, 50), (100, 100))
    own_page.press("j")
    own_page.await_case("film-01.png")
    has_left.append(True)
    expect(own_page.page.locator(".sa-message")).to_have_text(
        "A change to another case was not saved: no such picture", timeout=15_000
    )


def test_a_changed_file_is_named_and_not_shown(own_page: PanelPage, own_server: Server) -> None:
    own_page.visit("film-00.png")
    path = own_server.file("film-01.png")
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    row = own_page.page.locator(".sa-rows button", has_text="film-01.png")
    row.click()
    empty = own_page.page.locator("#read-panel .sa-empty")
    expect(empty).to_contain_text("changed since it was imported")
    expect(empty).to_contain_text("film-01.png")


# --- comparison --------------------------------------------------------------------------------


def test_the_comparison_shows_synchronised_panes_and_says_no_evidence(page: PanelPage) -> None:
    page.visit("film-23.png")
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    page.page.get_by_role("button", name="See where the models looked").click()
    panes = page.page.locator(".sa-pane")
    expect(panes).to_have_count(3)
    expect(panes.nth(2).locator(".sa-notice")).to_have_text("No evidence: the map is empty")
    expect(panes.nth(0).locator(".sa-numbers")).to_contain_text("IoU0.412")
    page.page.wait_for_function(
        "() => document.querySelector('.sa-compare').comparePanel.raster !== null"
    )
    views = "document.querySelector('.sa-compare').comparePanel.panes.map(p => p.picture.view)"
    before = page.page.evaluate(views)
    panes.nth(1).locator(".sa-stage").hover()
    page.page.mouse.wheel(0, -600)
    after = page.page.evaluate(views)
    assert after[0] == after[1] == after[2] != before[0]
    cross = panes.nth(0).locator(".sa-cross").get_attribute("transform")
    assert cross is not None
    # The maximum of the first made-up map: row 4, column 5 of 14 over 500 x 600 pixels.
    view = after[0]
    expected = [
        view["x"] + (5.5 * 500 / 14) * view["scale"],
        view["y"] + (4.5 * 600 / 14) * view["scale"],
    ]
    assert [float(value) for value in re.findall(r"[-\d.]+", cross)] == pytest.approx(expected)
    assert panes.nth(1).locator(".sa-blind").get_attribute("d")
    assert not panes.nth(0).locator(".sa-blind").get_attribute("d")


def test_opacity_zero_leaves_the_film_as_it_is(page: PanelPage) -> None:
    page.visit("film-23.png")
    if page.server.reading("film-23.png").commits == 0:
        page.drag((100, 100), (200, 200))
        page.press("Control+Enter")
    page.page.get_by_role("button", name="See where the models looked").click()
    page.page.wait_for_function("() => document.querySelector('.sa-compare')?.comparePanel.raster")
    greys = """(opacity) => {
        const { panes, opacity: slider } = document.querySelector('.sa-compare').comparePanel;
        slider.value = opacity;
        slider.dispatchEvent(new Event('input'));
        panes[0].picture.draw();
        const { canvas } = panes[0].picture;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let coloured = 0;
        for (let i = 0; i < data.length; i += 4) coloured += data[i] !== data[i + 2];
        return coloured;
    }"""
    assert page.page.evaluate(greys, 0) == 0
    assert page.page.evaluate(greys, 1) > 1000
