"""The reading protocol and adjudication as they are used: in the product, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from annotations.cases import ADJUDICATION
from annotations.protocol import read_protocol
from annotations.records import Region
from annotations.regions import Box
from annotations.shapes import Shape
from annotations.store import Store
from tests.browser.conftest import READER, PanelPage, chromium_path, new_page
from tests.browser.films import make_workspace
from tests.browser.product import App

pytestmark = pytest.mark.browser
LONG_MS = 60_000
HEART = Region("a1", "Cardiomegaly", "definite", Box(150, 250, 330, 470))
FLUID = Region("a2", "Pleural Effusion", "probable", Box(60, 400, 180, 540), "blunted")
# As a source draws it that has outlines.
OUTLINE = Shape("polygon", (((160, 260), (340.5, 300), (200, 460)),))
OTHER_HEART = Region("b1", "Cardiomegaly", "definite", Box(160, 260, 341, 460), "", OUTLINE)

DISPUTED = ("film-a.png", "film-c.png", "film-d.png")
READING_PANEL = "document.querySelector('#read-panel .sa-panel').readingPanel"
ADJUDICATION_PANEL = "document.querySelector('#adjudicate-panel .sa-panel').adjudicationPanel"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    workspace, records = make_workspace(
        tmp_path_factory.mktemp("protocol"), [f"film-{letter}.png" for letter in "abcd"]
    )
    with Store.open(workspace) as store:
        for name in DISPUTED:
            image_id = records[name].image_id
            store.readings.import_committed(image_id, "anna", "imported", [HEART, FLUID], False)
            store.readings.import_committed(image_id, "bert", "imported", [OTHER_HEART], False)
    running = App(workspace, records)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def panel(browser: Browser, app: App) -> Iterator[PanelPage]:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(LONG_MS)
    opened = PanelPage(context.new_page(), app)
    opened.page.goto(app.url)
    expect(opened.page.locator(".sa-title").first).not_to_be_empty(timeout=LONG_MS)
    yield opened
    context.close()
    assert opened.complaints == []


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def violations(page: Page, place: str) -> list[tuple[str, str]]:
    """What axe-core finds in a part of the page, as (rule, element)."""
    found: dict[str, Any] = Axe().run(page, context=place).response
    return [
        (rule["id"], node["html"][:200]) for rule in found["violations"] for node in rule["nodes"]
    ]


def test_two_readings_are_adjudicated_side_by_side(panel: PanelPage, app: App) -> None:
    page = panel.page
    open_tab(page, "Adjudicate")
    host = page.locator("#adjudicate-panel")
    expect(host.locator(".sa-decision")).to_have_count(3)
    page.wait_for_function(
        "() => document.querySelector('#adjudicate-panel .sa-panel')"
        ".adjudicationPanel.panes.result.viewer.picture.raster"
    )
    lines = [
        set(host.locator(f"[data-place={place}] .sa-box-line").evaluate_all(
            "all => all.map((line) => line.getAttribute('stroke'))"
        ))
        for place in ("left", "right", "result")
    ]  # fmt: skip
    assert lines == [{"#56b4e9"}, {"#e69f00"}, set()]
    commit = host.locator(".sa-commit")
    expect(commit).to_have_text("3 regions are still undecided")
    expect(commit).to_be_disabled()

    # By keyboard: the decision's button keeps the focus although the list is drawn anew.
    page.get_by_role("button", name="Accept Cardiomegaly of anna").focus()
    page.keyboard.press("Enter")
    expect(commit).to_have_text("2 regions are still undecided")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Edit Cardiomegaly of anna")).to_be_focused()
    page.get_by_role("button", name="Reject Cardiomegaly of bert").click()
    page.get_by_role("button", name="Edit Pleural Effusion of anna").click()
    moved = host.locator("[data-place=result] .sa-box[data-finding='Pleural Effusion']")
    expect(moved).to_be_focused()
    page.keyboard.press("Shift+ArrowRight")
    expect(moved).to_have_attribute("data-box", "70 400 190 540")
    host.get_by_label("Certainty").select_option("definite")
    expect(moved).to_have_attribute(
        "aria-label", "Pleural Effusion, definite, x 70 to 190, y 400 to 540 pixels"
    )
    assert violations(page, "#adjudicate-panel") == []
    commit.click()
    expect(host.locator(".sa-badge")).to_have_text("adjudicated")
    expect(page.locator("#adjudicate-status")).to_contain_text("1 of 3")

    with Store.open(app.workspace) as store:
        (kept,) = store.readings.committed(occasions=(ADJUDICATION,))
        parents = store.adjudications.parents_of(kept.reading_id)
    assert [(one.finding, one.certainty, one.box.corners, one.note) for one in kept.regions] == [
        ("Cardiomegaly", "definite", (150, 250, 330, 470), ""),
        ("Pleural Effusion", "definite", (70, 400, 190, 540), "blunted"),
    ]
    assert (kept.reader, [one.reader for one in parents]) == (READER, ["anna", "bert"])


def decisions(app: App, name: str) -> set[tuple[str, str]]:
    """What is stored of an adjudication: (region of a parent, decision)."""
    with Store.open(app.workspace) as store:
        found = store.adjudications.get(app.records[name].image_id, READER)
    assert found is not None
    assert found.reading.version == len(found.decisions)  # each once
    return {(one.region_id, one.decision) for one in found.decisions}


def await_adjudication(page: Page, name: str) -> None:
    expect(page.locator("#adjudicate-panel .sa-case-name")).to_have_text(name)
    page.wait_for_function(f"() => {ADJUDICATION_PANEL}.viewer.picture.raster")


def decide(page: Page, what: str) -> None:
    page.get_by_role("button", name=what).click()


def test_the_keys_of_the_reading_panel_work_in_all_three_pictures_of_an_adjudication(
    panel: PanelPage,
) -> None:
    page = panel.page
    looks = (
        f"{ADJUDICATION_PANEL}.viewers().map(({{ picture }}) => JSON.stringify("
        "[picture.view, picture.window(), picture.isInverted]))"
    )

    def look() -> str:
        each = page.evaluate(looks)
        assert each == [each[0]] * 3
        return str(each[0])

    page.keyboard.press("j")
    await_adjudication(page, "film-c.png")
    page.keyboard.press("f")
    seen = [look()]
    for key in ("+", "]", ".", "p", "i", "ArrowRight"):
        page.keyboard.press(key)
        assert look() not in seen, key
        seen.append(look())
    page.keyboard.press("r")
    assert look() == seen[0]
    boxes = page.locator("#adjudicate-panel [data-place=left] .sa-boxes:not(.sa-earlier)")
    page.keyboard.down("h")
    expect(boxes).to_be_hidden()
    page.keyboard.up("h")
    expect(boxes).to_be_visible()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_contain_text("Zoom in")
    expect(sheet).not_to_contain_text("Undo")
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    await_adjudication(page, "film-a.png")
    page.keyboard.press("j")
    await_adjudication(page, "film-c.png")


def test_decisions_belong_to_the_picture_they_were_made_on_also_when_it_was_left(
    panel: PanelPage, app: App
) -> None:
    page = panel.page
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/decide", hold_the_first)
    decide(page, "Accept Cardiomegaly of anna")
    decide(page, "Reject Pleural Effusion of anna")
    expect(page.locator("#adjudicate-panel .sa-commit")).to_have_text("1 region is still undecided")
    page.keyboard.press("j")
    await_adjudication(page, "film-d.png")
    decide(page, "Accept Cardiomegaly of bert")
    assert decisions(app, "film-c.png") == set()
    held[0].continue_()
    state = page.locator("#adjudicate-panel .sa-saved")
    expect(state).to_have_attribute("data-state", "saved")
    page.unroute("**/decide")
    assert decisions(app, "film-c.png") == {("a1", "accept"), ("a2", "reject")}
    assert decisions(app, "film-d.png") == {("b1", "accept")}


def test_decisions_made_while_the_network_is_away_are_kept_over_a_reload_and_saved_once(
    panel: PanelPage, app: App
) -> None:
    page = panel.page
    lost: list[int] = []

    def lose_the_answer(route: Route) -> None:
        lost.append(route.fetch().status if not lost else 0)
        route.abort()

    page.route("**/decide", lose_the_answer)
    decide(page, "Edit Pleural Effusion of anna")
    page.keyboard.press("Shift+ArrowRight")
    state = page.locator("#adjudicate-panel .sa-saved")
    expect(state).to_have_text("Not saved - retrying (2 changes kept in this browser)")
    moved = page.locator(
        "#adjudicate-panel [data-place=result] .sa-box[data-finding='Pleural Effusion']"
    )
    expect(moved).to_have_attribute("data-box", "70 400 190 540")
    page.get_by_role("tab", name="Read", exact=True).click()
    page.reload()
    page.unroute("**/decide")
    expect(page.locator("#read-panel .sa-title")).not_to_be_empty(timeout=LONG_MS)
    assert lost[0] == 200
    open_tab(page, "Adjudicate")
    expect(state).to_have_attribute("data-state", "saved")
    await_adjudication(page, "film-c.png")  # the first that is not committed
    page.keyboard.press("j")
    await_adjudication(page, "film-d.png")
    expect(moved).to_have_attribute("data-box", "70 400 190 540")
    assert decisions_of_moved(app) == [("blunted", (70, 400, 190, 540))]


def decisions_of_moved(app: App) -> list[tuple[str, tuple[int, int, int, int]]]:
    with Store.open(app.workspace) as store:
        found = store.adjudications.get(app.records["film-d.png"].image_id, READER)
    assert found is not None
    moved = [one for one in found.reading.regions if one.finding == "Pleural Effusion"]
    return [(one.note, one.box.corners) for one in moved]


def test_a_commit_of_an_adjudication_is_sent_once_and_said_to_be_saved_also_when_its_answer_is_lost(
    panel: PanelPage,
) -> None:
    page = panel.page
    sent: list[int] = []

    def lose_the_answer(route: Route) -> None:
        sent.append(route.fetch().status)
        route.abort()

    page.route("**/adjudications/*/commit", lose_the_answer)
    badge = page.locator("#adjudicate-panel .sa-badge")
    message = page.locator("#adjudicate-panel .sa-message")
    decide(page, "Reject Cardiomegaly of anna")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Control+Enter")
    expect(badge).to_have_text("adjudicated")
    expect(message).to_be_hidden()
    expect(page.locator("#adjudicate-status")).to_contain_text("2 of 3")
    assert sent == [200]
    page.unroute("**/adjudications/*/commit")


def test_the_browser_asks_before_it_leaves_a_decision_that_it_could_not_keep(
    browser: Browser, app: App
) -> None:
    for opened in new_page(browser, app):
        page = opened.page
        asked: list[str] = []

        def stay(dialog: Dialog, asked: list[str] = asked) -> None:
            asked.append(dialog.type)
            dialog.dismiss()

        page.on("dialog", stay)
        page.route("**/decide", lambda route: route.abort())
        page.goto(app.url)
        open_tab(page, "Adjudicate")
        await_adjudication(page, "film-c.png")
        state = page.locator("#adjudicate-panel .sa-saved")
        decide(page, "Edit Pleural Effusion of anna")  # one with a note
        expect(state).to_have_attribute("data-state", "retrying")
        page.reload()
        assert asked == []
        open_tab(page, "Adjudicate")
        await_adjudication(page, "film-c.png")
        page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
        decide(page, "Reject Cardiomegaly of anna")
        expect(state).to_contain_text("this browser keeps nothing: do not close the page")
        page.close(run_before_unload=True)
        expect(page.locator("#adjudicate-panel .sa-case-name")).to_have_text("film-c.png")
        assert asked == ["beforeunload"]
        page.unroute("**/decide")
        expect(state).to_have_attribute("data-state", "saved")


def worked_ms(app: App, name: str) -> int:
    """What the tests before this one were at work on the adjudication."""
    with Store.open(app.workspace) as store:
        rows = store.log.rows(app.records[name].image_id)
    return sum(row.details.get("active_ms", 0) for row in rows)


def move_over(page: Page) -> None:
    stage = page.locator("#adjudicate-panel [data-place=left] .sa-stage")
    for place in (30, 40):
        stage.hover(position={"x": place, "y": place})


def look(page: Page, seconds: int) -> None:
    """Signs of life every 20 seconds of the page's clock."""
    for _ in range(seconds // 20):
        page.clock.fast_forward(20_000)
        move_over(page)


def test_time_on_task_of_an_adjudication_is_the_work_on_it_without_pauses_and_other_cases(
    browser: Browser, app: App
) -> None:
    name = "film-c.png"
    for panel in new_page(browser, app):
        page, clock = panel.page, panel.page.clock
        clock.install()
        loaded = time.monotonic()
        page.goto(app.url)
        expect(page.locator("#read-panel .sa-title")).not_to_be_empty(timeout=LONG_MS)
        before = worked_ms(app, name)
        began = time.monotonic()
        open_tab(page, "Adjudicate")
        await_adjudication(page, name)
        look(page, 40)
        read_ms = page.evaluate(
            f"[...{READING_PANEL}.clock.times.values()].reduce((a, b) => a + b)"
        )
        # The case in the tab that was left has only what passed before.
        assert read_ms <= 1000 * (time.monotonic() - loaded)
        clock.fast_forward(600_000)  # a pause, up to the next sign of life
        move_over(page)
        decide(page, "Accept Cardiomegaly of bert")
        page.keyboard.press("j")
        await_adjudication(page, "film-d.png")
        look(page, 80)
        page.keyboard.press("k")
        await_adjudication(page, name)
        look(page, 20)
        page.reload()
        expect(page.locator("#read-panel .sa-title")).not_to_be_empty(timeout=LONG_MS)
        open_tab(page, "Adjudicate")
        await_adjudication(page, name)
        look(page, 20)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#adjudicate-panel .sa-badge")).to_have_text("adjudicated")
        look(page, 200)  # it is committed: no work on it
        spent = time.monotonic() - began
        with Store.open(app.workspace) as store:
            found = store.adjudications.get(app.records[name].image_id, READER)
            assert found is not None
            times = store.readings.time_on_task(found.reading.reading_id)
        assert 80_000 <= times[1] - before <= 80_000 + 1000 * spent


def test_a_protocol_saved_in_the_settings_holds_in_the_reading_panel(
    panel: PanelPage, app: App
) -> None:
    page = panel.page
    open_tab(page, "Settings")
    page.get_by_label("Required for each box").check()  # it waits until the form is filled
    assert violations(page, "body") == []
    open_tab(page, "Read")
    open_tab(page, "Settings")
    expect(page.get_by_label("Required for each box")).to_be_checked()
    page.locator("#settings-smallest input").fill("30")
    page.get_by_label("Readers see what others committed before").check()
    page.locator("#settings-save").click()
    expect(page.locator("#settings-status")).to_contain_text("Saved")
    expect(page.locator("#settings-history")).to_contain_text("earlier readings")
    assert read_protocol(app.workspace.settings_file).certainty == "required"

    open_tab(page, "Read")
    panel.open("film-b.png").open("film-a.png")
    expect(page.locator(".sa-earlier-list li")).to_have_count(2)
    expect(page.locator(".sa-earlier text").first).to_have_text("Cardiomegaly (anna)")
    expect(page.locator(".sa-earlier rect")).to_have_count(2)  # of anna, who drew boxes
    drawn = page.locator(".sa-earlier .sa-outline").evaluate(
        "path => [path.getBBox().x, path.getBBox().y, path.getBBox().width, path.getBBox().height]"
    )
    assert drawn == [160, 260, 180.5, 200]
    place = page.locator(".sa-earlier .sa-outline").evaluate(
        "path => { const m = path.getScreenCTM(); return [m.e, m.f]; }"
    )
    assert place == pytest.approx(panel.point(0, 0))
    panel.drag((20, 20), (45, 90))
    expect(page.locator("#read-panel .sa-message")).to_contain_text("smaller than 30 pixels")
    panel.drag((20, 20), (90, 90))
    expect(page.locator("#read-panel .sa-box-tag").last).to_contain_text("(certainty?)")
    panel.press("Control+Enter")
    expect(page.locator("#read-panel .sa-message")).to_contain_text("Say first how certain")
    panel.press("w", "Control+Enter")
    expect(page.locator("#read-panel .sa-badge")).to_have_text("committed")
    # The next box has to be asked about again.
    assert panel.panel("p.viewer.certainty") == ""
    with Store.open(app.workspace) as store:
        (mine,) = store.readings.committed(readers=[READER])
    assert [one.certainty for one in mine.regions] == ["probable"]
    assert not mine.independent
