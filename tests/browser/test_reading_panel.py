"""The reading panel in a real Chromium: what is drawn is what is stored, and nothing is lost."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Dialog, Route, expect

from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from tests.browser.conftest import READER, PanelPage, Server, new_page
from tests.browser.shared_panel import SharedPanel, dropdown, lend, open_shared, requests_of
from tests.chromium import WAIT_MS

pytestmark = pytest.mark.browser
PRESS_ARROWS = (
    "Array.from({length: 60}).forEach(() => document.activeElement.dispatchEvent("
    "new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})))"
)
LEFT_BEHIND = "{} was not committed: it was left while the commit waited. Open it and commit again."


@pytest.fixture(scope="module")
def film_names() -> list[str]:
    """As many as one page of the worklist shows."""
    return [*(f"film-{index:02d}.png" for index in range(44)), "film-8bit.png", "film-mono1.dcm"]


@pytest.fixture(scope="module")
def opened(browser: Browser, server: Server) -> Iterator[SharedPanel]:
    yield from open_shared(browser, server)


@pytest.fixture
def page(opened: SharedPanel) -> Iterator[SharedPanel]:
    yield from lend(opened)


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
    expect(page.page.locator("#read-panel .sa-message")).to_contain_text("smaller than 2 pixels")
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
    halo = page.page.locator(".sa-box:focus .sa-box-halo")
    assert halo.evaluate("one => getComputedStyle(one).stroke") == "rgb(255, 255, 255)"
    for place in (".sa-stage", "[data-command=fit]", ".sa-commit", ".sa-rows [aria-current]"):
        control = page.page.locator(place).first
        control.focus()
        outline = control.evaluate("one => getComputedStyle(one).outline")
        assert "solid 2px" in outline, place


def test_a_box_is_made_moved_and_sized_without_a_mouse(page: PanelPage) -> None:
    name = "film-39.png"
    page.visit(name)
    page.press("7", "d")
    (placed,) = page.shown()
    assert placed[0] < 250 < placed[2]
    assert placed[1] < 300 < placed[3]
    page.press("Control+ArrowRight", "Control+Shift+ArrowDown", "Control+ArrowUp", "ArrowLeft")
    page.saved()
    x_min, y_min, x_max, y_max = placed
    moved = (x_min - 1, y_min, x_max, y_max + 9)
    assert page.server.boxes(name) == [("Pleural Effusion", moved)]
    for _ in range(40):
        page.press("Control+Shift+ArrowLeft")  # stops before the box turns over
    page.saved()
    (smallest,) = page.shown()
    assert smallest[0] == x_min - 1
    assert 2 <= smallest[2] - smallest[0] < 12


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


def test_a_burst_of_200_edits_is_stored_completely_in_order_and_one_at_a_time(
    page: PanelPage,
) -> None:
    name = "film-08.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.saved()
    waiting, most = [0], [0]

    def count(route: Route) -> None:
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])
        route.continue_()

    def answered(response: object) -> None:
        waiting[0] -= "/edits" in response.url

    page.page.route("**/edits", count)
    page.page.on("response", answered)
    n_pictures = requests_of(page.page, "/audit/images/")
    began = page.page.evaluate("performance.now()")
    page.panel(
        "Array.from({length: 200}).forEach((_, i) => document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: i % 2 ? 'ArrowDown' : 'ArrowRight', bubbles: true})))"
    )
    assert page.page.evaluate("performance.now()") - began < 5000
    page.saved()
    page.page.remove_listener("response", answered)
    assert page.server.boxes(name) == [("Cardiomegaly", (200, 200, 300, 300))]
    assert page.server.reading(name).version == page.server.n_logged(name, "put") == 201
    assert most == [1]
    assert n_pictures == []  # an edit never brings the picture again


def test_each_of_the_eight_handles_moves_its_own_edges(page: PanelPage) -> None:
    name = "film-37.png"
    page.visit(name)
    page.drag((100, 100), (300, 300))
    box = [100, 100, 300, 300]
    for handle in ("nw", "n", "ne", "e", "se", "s", "sw", "w"):
        x = {"w": box[0], "e": box[2]}.get(handle[-1], (box[0] + box[2]) / 2)
        y = {"n": box[1], "s": box[3]}.get(handle[0], (box[1] + box[3]) / 2)
        shown = page.page.locator(f".sa-handle[data-handle={handle}]")
        expect(shown).to_be_visible()
        page.drag((x, y), (x + 20, y + 30))
        box[0] += 20 * ("w" in handle)
        box[1] += 30 * ("n" in handle)
        box[2] += 20 * ("e" in handle)
        box[3] += 30 * ("s" in handle)
        assert page.shown() == [box], handle
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", tuple(box))]


def test_ten_keys_choose_findings_and_three_the_certainty_and_boxes_are_outlines_only(
    page: PanelPage,
) -> None:
    name = "film-38.png"
    page.visit(name)
    findings = page.panel("p.meta.findings.map(f => f.name)")
    assert isinstance(findings, list)
    pressed = page.page.locator(".sa-findings [aria-pressed=true]")
    for index, key in enumerate("1234567890"):
        page.press(key)
        expect(pressed).to_have_attribute("data-finding", findings[index])
    page.drag((100, 100), (200, 200))
    for key, certainty, dashes in (
        ("w", "probable", "9"),
        ("e", "possible", "2"),
        ("q", "def", ""),
    ):
        page.press(key)
        expect(page.page.locator(".sa-box")).to_have_attribute("aria-label", re.compile(certainty))
        line = page.page.locator(".sa-box-line")
        assert (line.get_attribute("stroke-dasharray") or "").startswith(dashes)
        fills = page.page.locator(".sa-box rect:not(.sa-handle)").evaluate_all(
            "all => all.map(one => getComputedStyle(one).fill)"
        )
        assert set(fills) == {"none"}
    page.saved()
    assert page.server.boxes(name) == [(findings[9], (100, 100, 200, 200))]
    assert page.server.reading(name).regions[0].certainty == "definite"


Touch = Callable[..., None]


@pytest.fixture
def touch(page: PanelPage) -> Iterator[Touch]:
    """Fingers on the screen: what they do, and the place of each."""
    session = page.page.context.new_cdp_session(page.page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    yield send
    session.detach()


def test_a_finger_draws_and_moves_a_box_and_picks_it_by_a_tap(
    page: PanelPage, touch: Touch
) -> None:
    name = "film-18.png"
    page.visit(name)

    def stroke(*places: tuple[float, float]) -> None:
        touch("touchStart", page.point(*places[0]))
        for place in places[1:]:
            touch("touchMove", page.point(*place))
        touch("touchEnd")

    stroke((100, 120), (150, 180), (220, 260))
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (100, 120, 220, 260))]
    stroke((160, 190), (180, 200), (200, 210))  # inside of the selected box: moves it
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (140, 140, 260, 280))]
    page.press("Escape")
    stroke((200, 210))
    expect(page.page.locator(".sa-box.sa-selected")).to_have_attribute(
        "data-box", "140 140 260 280"
    )
    stroke((271, 286), (281, 296), (300, 310))  # a finger is thick: near a handle is on it
    page.saved()
    assert page.server.boxes(name) == [("Cardiomegaly", (140, 140, 289, 304))]


def test_a_pinch_zooms_and_leaves_no_box(page: PanelPage, touch: Touch) -> None:
    name = "film-09.png"
    page.visit(name)
    before = page.panel("p.viewer.picture.view.scale")
    x, y = page.point(250, 300)

    def fingers(kind: str, *spread: float) -> None:
        touch(kind, *((x + offset, y) for offset in spread))

    fingers("touchStart", -20)
    fingers("touchMove", -30)
    fingers("touchStart", -30, 30)
    for spread in (40, 60, 80, 100):
        fingers("touchMove", -spread, spread)
    fingers("touchEnd")
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
    expect(page.page.locator("#read-panel .sa-message")).to_contain_text("excludes boxes")
    assert page.shown() == []
    page.press("n")
    page.drag((100, 100), (200, 200))
    page.saved()
    page.press("n")
    expect(page.page.locator("#read-panel .sa-message")).to_contain_text("exclude each other")
    page.saved()
    reading = page.server.reading(name)
    assert (reading.no_finding, len(reading.regions)) == (False, 1)


def test_a_commit_locks_the_reading_and_correct_opens_it_as_a_new_version(page: PanelPage) -> None:
    name = "film-11.png"
    page.visit(name)
    page.press("Control+Enter")
    expect(page.page.locator("#read-panel .sa-message")).to_contain_text("Mark what you see")
    maps = page.page.get_by_role("button", name="See where the models looked")
    expect(maps).to_be_hidden()
    page.drag((100, 100), (200, 200))
    page.page.get_by_role("button", name="Commit reading").click()
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
    row = page.page.locator(".sa-rows li", has_text=name)
    expect(row.get_by_role("img", name="committed")).to_have_text("✓")
    page.drag((300, 300), (400, 400))
    page.press("Delete")
    assert page.shown() == [[100, 100, 200, 200]]
    assert page.server.reading(name).status == "committed"
    expect(maps).to_be_visible()
    progress = page.page.locator(".sa-progress")
    n_read = page.page.locator(".sa-summary").inner_text().split(" of ")[0]
    assert (progress.get_attribute("value"), progress.get_attribute("max")) == (
        n_read,
        str(len(page.server.records)),
    )
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
    expect(page.page.locator("#read-panel .sa-message")).to_contain_text("Nothing was taken back")
    assert page.shown() == []
    page.panel("Object.assign(p.model, {no_finding: false})")
    page.press("Control+z")
    page.saved()
    assert page.shown() == [[100, 100, 200, 200]]


def test_a_commit_that_waits_holds_up_no_other_case_and_is_not_lost_silently(
    page: PanelPage,
) -> None:
    page.visit("film-25.png")
    held = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.page.route("**/edits", hold_the_first)
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    message = page.page.locator("#read-panel .sa-message")
    expect(message).to_contain_text("waits until every change is saved")
    page.open("film-26.png")
    page.drag((50, 50), (90, 90))
    page.press("Control+Enter")
    expect(message).to_contain_text("waits until every change is saved")
    held[0].continue_()
    expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
    assert page.server.reading("film-26.png").commits == 1
    expect(message).to_have_text(LEFT_BEHIND.format("film-25.png"))
    assert page.server.reading("film-25.png").commits == 0


def test_leaving_a_case_whose_commit_waits_is_said(page: PanelPage) -> None:
    page.visit("film-27.png")
    held = []
    page.page.route("**/edits", lambda route: held.append(route))
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    page.open("film-28.png")
    held[0].continue_()
    expect(page.page.locator("#read-panel .sa-message")).to_have_text(
        LEFT_BEHIND.format("film-27.png")
    )
    page.saved()
    assert page.server.reading("film-27.png").commits == 0


def test_a_commit_waits_for_edits_that_are_not_saved_yet(page: PanelPage) -> None:
    name = "film-12.png"
    page.visit(name)
    held = []
    page.page.route("**/edits", lambda route: held.append(route))
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    expect(page.page.locator("#read-panel .sa-message")).to_contain_text(
        "waits until every change is saved"
    )
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
    held: list[Route] = []
    for other in new_page(browser, server):
        other.visit(name)
        other.drag((50, 50), (120, 120))
        other.saved()
        page.page.route("**/edits", lambda route: held.append(route), times=1)
        page.drag((300, 300), (360, 360))
        page.press("t")
        page.page.keyboard.type("mine")
        held[0].continue_()
        expect(page.page.locator(".sa-conflict")).to_contain_text("2 changes were not saved")
        assert page.shown() == [[50, 50, 120, 120]]
        assert len(server.boxes(name)) == 1
        # The decision survives a reload, too.
        page.page.reload()
        page.await_case(name)
        page.page.get_by_role("button", name="Make mine again").click()
        page.saved()
        expect(page.page.locator(".sa-conflict")).to_be_hidden()
        assert [(one.box.corners, one.note) for one in server.reading(name).regions] == [
            ((50, 50, 120, 120), ""),
            ((300, 300, 360, 360), "mine"),
        ]


def test_changes_that_cannot_be_made_again_yet_are_kept_until_they_can(
    page: PanelPage, browser: Browser, server: Server
) -> None:
    name = "film-40.png"
    page.visit(name)
    for other in new_page(browser, server):
        other.visit(name)
        other.press("n")
        other.saved()
    page.drag((300, 300), (360, 360))
    conflict = page.page.locator(".sa-conflict")
    expect(conflict).to_contain_text("One change was not saved")
    again = page.page.get_by_role("button", name="Make mine again")
    again.click()
    expect(page.page.locator(".sa-message")).to_contain_text("Not made again: “No Finding” is set")
    expect(conflict).to_contain_text("One change was not saved")
    page.press("n")  # cleared here
    again.click()
    expect(conflict).to_be_hidden()
    page.saved()
    assert server.boxes(name) == [("Cardiomegaly", (300, 300, 360, 360))]


def test_a_note_is_kept_when_the_next_case_comes_while_one_types_and_marks_nothing_there(
    page: PanelPage, server: Server
) -> None:
    name, following = "film-41.png", "film-42.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.saved()
    page.press("t", "n")
    page.panel("p.stepping.step(1)")
    # Without a pause, until the next case is there and for a while longer.
    while page.page.locator(".sa-title").text_content() == name:
        page.page.keyboard.type("n", delay=20)
    page.page.keyboard.type("dnd nd", delay=20)
    page.page.locator(".sa-stage").first.focus()
    page.saved()
    (region,) = server.reading(name).regions
    assert region.note.startswith("n")
    assert server.reading(following).version == 0
    assert page.shown() == []
    expect(page.page.locator(".sa-note")).to_be_hidden()


def test_what_a_key_changes_during_a_drag_is_not_undone_by_its_end(
    page: PanelPage, server: Server
) -> None:
    name = "film-43.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.press("v")
    mouse = page.page.mouse

    def move(key: str) -> None:
        page.click(150, 150)
        mouse.move(*page.point(150, 150))
        mouse.down()
        mouse.move(*page.point(180, 190), steps=3)
        page.press(key)
        mouse.up()

    move("e")
    page.saved()
    (region,) = server.reading(name).regions
    assert (region.certainty, region.box.corners) == ("possible", (130, 140, 230, 240))
    move("Delete")
    page.saved()
    assert server.boxes(name) == []
    assert page.shown() == []


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
    with Store.open(page.server.workspace) as store:
        boxes = [Region("", "Mass", "definite", Box(1, 1, 50, 50))]
        image = page.server.records["film-36.png"].image_id
        store.readings.import_committed(image, "reader before", "imported", boxes, False)
    page.visit("film-16.png")
    page.page.reload()
    page.await_case("film-16.png")
    page.drag((100, 100), (200, 200))
    page.saved()
    expect(page.page.locator(".sa-rows [aria-current=true]")).to_contain_text("film-16.png")
    rows = page.page.locator(".sa-rows li")
    n_all = len(page.server.records)
    search = page.page.locator("#read-search").get_by_role("textbox")
    search.fill("mono1")
    expect(rows).to_have_count(1)
    expect(page.page.locator(".sa-summary")).to_contain_text("1 match")
    search.fill("")
    expect(rows).to_have_count(n_all)

    page.page.locator("#read-filter").get_by_role("button").first.click()
    for list_id, choice, shown in (
        ("read-view", "PA", ["film-mono1.dcm"]),
        ("read-by", "reader before", ["film-36.png"]),
        ("read-status", "Draft", None),
        ("read-finding", "Cardiomegaly", None),
    ):
        dropdown(page.page, list_id, choice)
        if shown is None:
            expect(rows).not_to_have_count(n_all)
            assert "film-16.png" in page.page.locator(".sa-row-name").all_inner_texts()
        else:
            expect(page.page.locator(".sa-row-name")).to_have_text(shown)
        dropdown(page.page, list_id, "All")
        expect(rows).to_have_count(n_all)
    page.open("film-36.png")
    assert page.shown() == []  # what another reader marked is not shown
    page.page.locator("#read-filter").get_by_role("button").first.click()


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


def test_history_and_report_are_shown_as_text_the_report_from_the_commit_on(
    page: PanelPage,
) -> None:
    page.visit("film-00.png")
    texts = page.page.locator(".sa-texts")
    expect(texts).to_contain_text("<b>Smoker</b>")
    expect(texts).to_contain_text("Shown after the commit.")
    page.drag((100, 100), (200, 200))
    page.press("Control+Enter")
    expect(texts).to_contain_text("IMPRESSION: <b>Edema</b>.")


def test_the_shortcut_sheet_opens_and_closes_by_key(page: PanelPage) -> None:
    page.visit("film-21.png")
    page.press("?")
    expect(page.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.press("Escape")
    expect(page.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_a_choice_or_a_step_that_got_lost_is_made_again(page: PanelPage) -> None:
    page.visit("film-23.png")
    lose_one = """(place) => {
        const asker = document.querySelector(place[0])[place[1]];
        const trigger = asker.trigger;
        asker.trigger = () => { asker.trigger = trigger; };
    }"""
    page.page.evaluate(lose_one, [".sa-worklist", "worklist"])
    page.open("film-24.png")
    page.page.evaluate(lose_one, [".sa-panel", "readingPanel"])
    page.press("j")
    page.await_case("film-25.png")
    assert page.panel("p.caseId") == page.server.records["film-25.png"].image_id


def test_keys_typed_into_a_field_are_text(page: PanelPage) -> None:
    name = "film-22.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.press("t")
    page.page.keyboard.type("njk 123")
    page.page.wait_for_function(  # although the field was not left
        "() => document.querySelector('.sa-panel').readingPanel.model.regions[0].note === 'njk 123'"
    )
    page.saved()
    assert page.server.reading(name).regions[0].note == "njk 123"
    page.press("Escape")
    page.saved()
    region = page.server.reading(name).regions[0]
    assert (region.note, region.finding) == ("njk 123", "Cardiomegaly")
    assert not page.server.reading(name).no_finding


def test_a_note_that_was_typed_before_its_tab_closed_is_saved_by_the_next_one(
    browser: Browser, server: Server
) -> None:
    name = "film-32.png"
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    first = PanelPage(context.new_page(), server)
    first.visit(name)
    first.drag((100, 100), (200, 200))
    first.saved()
    first.press("t")
    # The network goes; what is typed is neither sent nor, yet, an edit.
    first.page.route("**/edits", lambda route: route.abort())
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        # While the browser asks, what was typed is sealed.
        first.page.wait_for_timeout(300)
        asked.append(dialog.type)
        dialog.accept()

    first.page.on("dialog", leave)
    first.page.keyboard.type("Mrs Smith, blunted angle")
    with first.page.expect_event("close"):
        first.page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    assert server.reading(name).regions[0].note == ""

    again = PanelPage(context.new_page(), server)
    again.page.route("**/edits", lambda route: route.abort())
    again.visit(name)
    expect(again.page.locator(".sa-saved")).to_have_attribute("data-state", "retrying")
    stored = again.page.evaluate("JSON.stringify(localStorage)")
    assert "sealed" in stored
    assert "Smith" not in stored
    again.page.unroute("**/edits")
    again.saved()
    assert server.reading(name).regions[0].note == "Mrs Smith, blunted angle"
    assert "sealed" not in again.page.evaluate("JSON.stringify(localStorage)")
    context.close()


def test_time_on_task_is_the_work_on_a_case_without_pauses_and_without_other_cases(
    browser: Browser, server: Server
) -> None:
    name, other = "film-31.png", "film-30.png"
    for page in new_page(browser, server):
        clock = page.page.clock
        clock.install()
        page.visit(name)

        def look(seconds: int, page: PanelPage = page) -> None:
            for _ in range(seconds // 20):
                page.page.clock.fast_forward(20_000)
                page.page.mouse.move(*page.point(250, 300))
                page.page.mouse.move(*page.point(260, 310))

        began = time.monotonic()
        look(40)
        clock.fast_forward(600_000)  # a pause, up to the next sign of life
        page.page.mouse.move(*page.point(200, 200))
        look(20)
        page.drag((100, 100), (200, 200))
        page.saved()
        page.open(other)
        look(80)
        page.open(name)
        look(20)
        page.page.reload()
        page.await_case(name)
        look(20)
        page.press("Control+Enter")
        expect(page.page.locator(".sa-title + .sa-badge")).to_have_text("committed")
        look(200)  # the reading is committed: no work on it
        spent = time.monotonic() - began
        with Store.open(server.workspace) as store:
            reading = store.readings.get(server.records[name].image_id, READER)
            times = store.readings.time_on_task(reading.reading_id)
        assert 100_000 <= times[1] <= 100_000 + 1000 * spent


# --- comparison --------------------------------------------------------------------------------


def test_the_comparison_shows_synchronised_panes_says_no_evidence_and_fades_to_the_film(
    page: PanelPage,
) -> None:
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


# --- faults ------------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_of_edits_loses_none_of_two_pages(
    page: PanelPage, browser: Browser, server: Server
) -> None:
    """One page stays open over the restart, the other is closed before and opened after it."""
    name, other_name = "film-33.png", "film-34.png"
    page.visit(name)
    page.drag((50, 50), (100, 100))
    page.saved()
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    closed = PanelPage(context.new_page(), server)
    closed.visit(other_name)
    page.page.bring_to_front()
    page.panel(f"({PRESS_ARROWS}, null)")
    page.page.wait_for_function(
        "() => document.querySelector('.sa-panel').readingPanel.model.version >= 5"
    )
    server.kill()
    acknowledged = page.panel("p.model.version")
    assert server.reading(name).version >= acknowledged
    page.drag((200, 200), (260, 280))
    page.press("ArrowRight", "ArrowRight")
    state = page.page.locator(".sa-saved")
    expect(state).to_have_attribute("data-state", "retrying")
    expect(state).to_have_text(re.compile(r"Not saved - retrying .*\d+ changes kept"))
    closed.drag((200, 200), (260, 280))
    expect(closed.page.locator(".sa-saved")).to_have_attribute("data-state", "retrying")
    closed.page.close()

    server.start()
    page.saved()
    assert server.boxes(name) == [
        ("Cardiomegaly", (110, 50, 160, 100)),
        ("Cardiomegaly", (202, 200, 262, 280)),
    ]
    assert server.reading(name).version == server.n_logged(name, "put") == 64
    assert server.boxes(other_name) == []
    again = PanelPage(context.new_page(), server)
    again.visit(other_name)
    again.saved()
    assert server.boxes(other_name) == [("Cardiomegaly", (200, 200, 260, 280))]
    assert again.shown() == [[200, 200, 260, 280]]
    stored = again.page.evaluate("JSON.stringify(localStorage)")
    assert "Cardiomegaly" not in stored
    assert READER not in stored
    context.close()


def test_a_network_cut_of_30_s_and_a_clock_set_back_lose_and_confuse_nothing(
    browser: Browser, server: Server
) -> None:
    name = "film-35.png"
    for page in new_page(browser, server):
        page.page.clock.install()
        page.visit(name)
        page.drag((50, 50), (100, 100))
        page.saved()
        page.page.context.set_offline(True)
        page.drag((200, 200), (260, 280))
        page.page.clock.fast_forward(30_000)
        page.press("ArrowRight")
        expect(page.page.locator(".sa-saved")).to_have_attribute("data-state", "retrying")
        assert len(server.boxes(name)) == 1
        page.page.clock.set_system_time("2001-01-01")
        page.press("ArrowDown")
        page.page.context.set_offline(False)
        page.page.clock.fast_forward(10_000)
        page.saved()
        moved = ("Cardiomegaly", (201, 201, 261, 281))
        assert server.boxes(name) == [("Cardiomegaly", (50, 50, 100, 100)), moved]
        assert server.reading(name).version == server.n_logged(name, "put") == 4
        page.press("ArrowLeft")
        page.page.clock.fast_forward(5_000)
        page.press("ArrowLeft")
        page.press("Control+z")
        page.saved()
        assert page.shown()[1] == [200, 201, 260, 281]  # one step back, not all since the clock


def test_an_edit_that_the_database_cannot_take_now_is_kept_with_the_reason_until_it_can(
    page: PanelPage,
) -> None:
    name = "film-43.png"
    page.visit(name)
    with closing(sqlite3.connect(page.server.workspace.database)) as other_user:
        other_user.execute("BEGIN IMMEDIATE")
        page.drag((50, 50), (100, 100))
        state = page.page.locator(".sa-saved")
        expect(state).to_have_attribute("data-state", "retrying", timeout=WAIT_MS)
        said = page.page.locator("#read-panel .sa-message")
        expect(said).to_contain_text("another user of the database W/audit.sqlite")
        assert page.shown() == [[50, 50, 100, 100]]
        other_user.rollback()
    page.saved()
    expect(said).to_be_empty()
    assert page.server.boxes(name) == [("Cardiomegaly", (50, 50, 100, 100))]


def test_an_edit_whose_acknowledgement_was_lost_is_stored_once(page: PanelPage) -> None:
    name = "film-29.png"
    page.visit(name)
    dropped = []

    def drop_two_answers(route: Route) -> None:
        if len(dropped) == 2:
            route.continue_()
            return
        dropped.append(route.fetch())
        if len(dropped) == 1:
            route.abort()
        else:
            route.fulfill(status=200, json=None)  # as Gradio answers when Python raised

    page.page.route("**/edits", drop_two_answers)
    page.drag((50, 50), (100, 100))
    page.drag((200, 200), (260, 280))
    page.saved()
    assert [one.status for one in dropped] == [200, 200]
    assert page.server.reading(name).version == 2
    assert page.server.n_logged(name, "put") == 2


def test_a_change_that_is_refused_after_its_case_was_left_is_said(page: PanelPage) -> None:
    page.visit("film-30.png")
    has_left = []

    def refuse_once_the_case_was_left(route: Route) -> None:
        if has_left:
            answer = {"ok": False, "message": "no such picture"}
            route.fulfill(status=422, json=answer)
        else:
            route.abort()

    page.page.route("**/edits", refuse_once_the_case_was_left)
    page.drag((50, 50), (100, 100))
    page.press("j")
    page.await_case("film-31.png")
    has_left.append(True)
    expect(page.page.locator("#read-panel .sa-message")).to_have_text(
        "A change to another case was not saved: no such picture", timeout=15_000
    )


def test_a_changed_file_is_named_and_not_shown(page: PanelPage, server: Server) -> None:
    page.visit("film-31.png")
    content = server.file("film-32.png").read_bytes()
    path = server.file("film-32.png")
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    row = page.page.locator(".sa-rows button", has_text="film-32.png")
    row.click()
    empty = page.page.locator("#read-panel .sa-empty")
    expect(empty).to_contain_text("changed since it was imported")
    expect(empty).to_contain_text("film-32.png")
    path.write_bytes(content)
    page.open("film-31.png")
