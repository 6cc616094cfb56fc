"""The reading protocol and adjudication as they are used: in the product, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from annotations.cases import ADJUDICATION
from annotations.protocol import read_protocol
from annotations.records import Region
from annotations.regions import Box
from annotations.shapes import Shape
from annotations.store import Store
from tests.browser.conftest import READER, PanelPage, chromium_path
from tests.browser.films import make_workspace
from tests.browser.product import App

pytestmark = pytest.mark.browser
LONG_MS = 60_000
HEART = Region("a1", "Cardiomegaly", "definite", Box(150, 250, 330, 470))
FLUID = Region("a2", "Pleural Effusion", "probable", Box(60, 400, 180, 540), "blunted")
# As a source draws it that has outlines.
OUTLINE = Shape("polygon", (((160, 260), (340.5, 300), (200, 460)),))
OTHER_HEART = Region("b1", "Cardiomegaly", "definite", Box(160, 260, 341, 460), "", OUTLINE)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    workspace, records = make_workspace(
        tmp_path_factory.mktemp("protocol"), ["film-a.png", "film-b.png"]
    )
    with Store.open(workspace) as store:
        image_id = records["film-a.png"].image_id
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
    expect(page.locator("#adjudicate-status")).to_contain_text("1 of 1")

    with Store.open(app.workspace) as store:
        (kept,) = store.readings.committed(occasions=(ADJUDICATION,))
        parents = store.adjudications.parents_of(kept.reading_id)
    assert [(one.finding, one.certainty, one.box.corners, one.note) for one in kept.regions] == [
        ("Cardiomegaly", "definite", (150, 250, 330, 470), ""),
        ("Pleural Effusion", "definite", (70, 400, 190, 540), "blunted"),
    ]
    assert (kept.reader, [one.reader for one in parents]) == (READER, ["anna", "bert"])


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
