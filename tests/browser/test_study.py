"""A reading study with accounts as its readers meet it: heatmaps, order, repeats, sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from annotations.cases import FIRST, REPEAT, Case, case_id_of
from annotations.protocol import change_protocol, current_protocol
from annotations.records import CommittedReading, Reading
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.accounts import add_account
from audit_app.demo import FINDINGS, add_phantom
from audit_app.models import add_model
from audit_app.session_endings import FRESH_S
from audit_app.study import UNBLINDED
from model_store.demo.phantoms import demo_set
from tests.browser.conftest import PanelPage
from tests.browser.films import add_image, film, write_png16
from tests.browser.product import App
from tests.chromium import WAIT_MS, chromium_path

pytestmark = pytest.mark.browser
LONG_MS = 120_000  # the first maps load a model
PASSWORD = "a long password"
N_FILMS = 57  # with the phantoms and the repeats more than one page of the worklist
COMPARE = "document.querySelector('.sa-compare').comparePanel"


class StudyPage(PanelPage):
    """The page of somebody who has an account."""

    server: App

    def sign_in(self, name: str) -> StudyPage:
        self.page.goto(self.server.url)
        self.page.get_by_label("username").fill(name)
        self.page.get_by_label("password").fill(PASSWORD)
        self.page.get_by_role("button", name="Login").click()
        expect(self.page.locator(".sa-rows li").first).to_be_visible()
        expect(self.page.locator(".sa-title")).not_to_be_empty()
        return self

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def rows(self) -> list[str]:
        return self.page.locator(".sa-rows li").evaluate_all(
            "all => all.map(r => r.dataset.caseId)"
        )

    def commit(self, status: str = "committed") -> None:
        self.press("Control+Enter")
        expect(self.page.locator(".sa-title + .sa-badge")).to_have_text(status)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    root = tmp_path_factory.mktemp("study")
    workspace = create_workspace(root / "workspace", name="study", findings=FINDINGS)
    records = {}
    with Store.open(workspace) as store:
        for number, phantom in enumerate(demo_set(3)):
            image = add_phantom(workspace, store, phantom, number)
            records[image.name] = image
        for number in range(N_FILMS):
            path = write_png16(root / f"film-{number:02d}.png", film(60, 50, 60000, number))
            records[path.name] = add_image(store, path)
        add_model(workspace, store, "demo-cnn")
        for name in ("anna", "bert"):
            add_account(store, name, "reader", PASSWORD)
    running = App(workspace, records)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def opened(browser: Browser, app: App) -> Iterator[StudyPage]:
    """Anna's page, for all tests: signing in and loading it costs more than what they do."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    yield StudyPage(context.new_page(), app).sign_in("anna")
    context.close()


@pytest.fixture
def page(opened: StudyPage) -> Iterator[StudyPage]:
    opened.complaints.clear()
    yield opened
    rule(opened.server, heatmap="after commit")
    opened.tab("Read")
    assert opened.complaints == []


def rule(app: App, **changes: object) -> None:
    """Change the protocol, as an admin does meanwhile."""
    with Store.open(app.workspace) as store:
        file = app.workspace.settings_file
        change_protocol(file, store, replace(current_protocol(file, store), **changes), "admin")


def reading_of(app: App, name: str, reader: str = "anna") -> Reading:
    with Store.open(app.workspace) as store:
        return store.readings.get(app.records[name].image_id, reader)


def commits_of(app: App, name: str) -> list[CommittedReading]:
    with Store.open(app.workspace) as store:
        return store.readings.of_image(app.records[name].image_id)


# --- heatmaps ----------------------------------------------------------------------------------


def await_comparison(page: Page, image_id: str) -> None:
    page.wait_for_function(f"(id) => {COMPARE}.value?.case_id === id", arg=image_id)


def test_the_heatmaps_come_with_the_commit_and_what_is_committed_after_them_is_not_blinded(
    page: StudyPage, app: App
) -> None:
    name = "Phantom 001"
    maps = page.page.get_by_role("button", name="See where the models looked")
    page.open(name)
    page.drag((100, 100), (200, 200))
    page.saved()
    expect(maps).to_be_hidden()
    page.tab("Compare")
    expect(page.page.locator("#compare-sentence")).to_contain_text("Nothing to compare yet")
    page.tab("Read")
    assert reading_of(app, name).revealed_at is None
    page.commit()
    maps.click()
    await_comparison(page.page, app.records[name].image_id)
    assert reading_of(app, name).revealed_at is not None
    page.page.wait_for_function(
        f"() => !{COMPARE}.value.is_waiting && {COMPARE}.panes.length === 3"
        f" && {COMPARE}.panes.every(({{ picture }}) => picture.heat && picture.opacity > 0)",
        timeout=LONG_MS,
    )
    page.tab("Read")
    page.page.get_by_role("button", name="Correct").click()
    page.drag((250, 250), (300, 300))
    page.saved()
    page.commit("revised")
    assert [one.blinded for one in commits_of(app, name)] == [True, False]
    assert [len(one.regions) for one in commits_of(app, name)] == [1, 2]


def test_under_never_no_reader_gets_to_a_heatmap(page: StudyPage, app: App) -> None:
    name = "Phantom 002"
    rule(app, heatmap="never")
    page.open(name)
    page.drag((100, 100), (200, 200))
    page.saved()
    page.commit()
    expect(page.page.locator(".sa-commit-note")).to_have_text("Committed.")
    expect(page.page.get_by_role("button", name="See where the models looked")).to_be_hidden()
    page.tab("Compare")
    expect(page.page.locator("#compare-sentence")).to_contain_text(
        "keeps the heatmaps from its readers"
    )
    # Nor is what the tab had shown before.
    expect(page.page.locator("#compare-panel .sa-pane").first).to_be_hidden()
    assert reading_of(app, name).revealed_at is None


def test_under_at_once_the_maps_are_open_before_the_commit_which_says_so_and_is_unblinded(
    page: StudyPage, app: App
) -> None:
    name = "Phantom 003"
    rule(app, heatmap="at once")
    page.open(name)
    expect(page.page.locator(".sa-rule")).to_have_text(UNBLINDED)
    maps = page.page.get_by_role("button", name="See where the models looked")
    expect(maps).to_be_hidden()  # nothing is marked yet that they could be compared with
    page.drag((100, 100), (200, 200))
    page.saved()
    maps.click()
    await_comparison(page.page, app.records[name].image_id)
    assert reading_of(app, name).revealed_at is not None
    page.tab("Read")
    page.commit()
    assert [one.blinded for one in commits_of(app, name)] == [False]


# --- a session that ends -----------------------------------------------------------------------


def test_a_session_that_ends_while_one_edits_is_said_and_the_edits_are_saved_after_the_next_sign_in(
    page: StudyPage, app: App
) -> None:
    name = "film-03.png"
    page.open(name)
    page.drag((5, 5), (20, 20))
    page.saved()
    with Store.open(app.workspace) as store:
        # As when she signs out everywhere on another computer.
        store.log.add("signed out everywhere", "anna", "anna", {})
    page.page.wait_for_timeout(1000 * FRESH_S + 100)
    page.drag((25, 25), (40, 45))
    expect(page.page.get_by_label("username")).to_be_visible()
    expect(page.page.locator("body")).to_contain_text("are saved when you sign in again")
    assert reading_of(app, name).version == 1

    # Somebody else at the same computer neither sees nor sends them.
    page.sign_in("bert").open(name)
    page.saved()
    assert page.shown() == []
    assert reading_of(app, name, "bert").version == 0
    page.page.goto(f"{app.url}logout")
    page.sign_in("anna").open(name)
    page.saved()
    assert page.shown() == [[5, 5, 20, 20], [25, 25, 40, 45]]
    assert [one.box.corners for one in reading_of(app, name).regions] == [
        (5, 5, 20, 20),
        (25, 25, 40, 45),
    ]
    page.complaints.clear()  # Gradio's own streams were refused, too


# --- order -------------------------------------------------------------------------------------


def order_of(app: App, reader: str) -> list[Case]:
    with Store.open(app.workspace) as store:
        return store.orders.cases(reader)


def test_each_reader_has_an_order_and_repeats_of_their_own_over_the_pages_of_the_worklist(
    page: StudyPage, app: App
) -> None:
    rule(app, random_order=True, seed=7, repeat_percent=5)
    page.page.reload()
    expect(page.page.locator(".sa-rows li")).to_have_count(50)
    order = order_of(app, "anna")
    assert len(order) == 60 + 3
    assert [case.image_id for case in order if case.occasion == FIRST] != [
        one.image_id for one in app.records.values()
    ]
    ids = [case_id_of(case.image_id, case.occasion) for case in order]
    place, pager = page.page.locator(".sa-place"), page.page.locator(".sa-pager")
    following = pager.get_by_role("button", name="Next page")
    before = pager.get_by_role("button", name="Previous page")
    while before.is_enabled():  # the page with the open case came first
        before.click()
        expect(place).to_have_text("1 / 2")
    assert page.rows() == ids[:50]
    names = page.page.locator(".sa-row-name").all_inner_texts()
    assert names == [f"Case {number}" for number in range(1, 51)]
    following.click()
    expect(place).to_have_text("2 / 2")
    expect(following).to_be_disabled()
    expect(page.page.locator(".sa-rows li")).to_have_count(13)
    assert page.rows() == ids[50:]
    before.click()
    expect(place).to_have_text("1 / 2")
    page.open("Case 50")
    page.press("j")  # over the end of the page
    page.await_case("Case 51")
    expect(place).to_have_text("2 / 2")


def test_a_repeat_comes_under_a_number_without_what_was_marked_before(
    page: StudyPage, app: App
) -> None:
    order = order_of(app, "anna")
    marked = {one.image_id for one in app.records.values() if reading_of(app, one.name).commits}
    repeat = next(case for case in order if case.occasion == REPEAT and case.image_id not in marked)
    first_place = order.index(Case(repeat.image_id)) + 1
    place = order.index(repeat) + 1
    page.page.get_by_role("button", name="Previous page").click()
    expect(page.page.locator(".sa-place")).to_have_text("1 / 2")
    page.open(f"Case {first_place}")
    page.drag((5, 5), (20, 20))
    page.saved()
    page.commit()
    # Until it was read a second time, nobody sees the maps that would tell.
    assert reading_of_case(app, repeat.image_id).revealed_at is None
    if place > 50:
        page.page.get_by_role("button", name="Next page").click()
    page.open(f"Case {place}")
    assert page.shown() == []
    page.drag((8, 8), (30, 30))
    page.saved()
    page.commit()
    with Store.open(app.workspace) as store:
        kept = store.readings.committed(
            image_ids=[repeat.image_id], readers=["anna"], occasions=(FIRST, REPEAT)
        )
    assert [(one.occasion, one.regions[0].box.corners) for one in kept] == [
        (FIRST, (5, 5, 20, 20)),
        (REPEAT, (8, 8, 30, 30)),
    ]


def reading_of_case(app: App, image_id: str) -> Reading:
    with Store.open(app.workspace) as store:
        return store.readings.get(image_id, "anna")
