"""The worklist beside the reading panel: its pace estimate, and its filter by source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from annotations.store import Store
from audit_app.viewer.pace import pace_text
from tests.browser.conftest import READER, PanelPage, Server, new_page
from tests.browser.films import add_image, film, make_workspace, write_png16
from tests.browser.shared_panel import dropdown
from tests.chromium import chromium_path

pytestmark = pytest.mark.browser
FOLDER = [f"film-{number}.png" for number in range(5)]
ARCHIVE = ["chest-0.png", "chest-1.png"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Five films of a folder, and behind the first two of them two of an archive."""
    chromium_path()
    root = tmp_path_factory.mktemp("worklist")
    workspace, records = make_workspace(root, FOLDER[:2])
    with Store.open(workspace) as store:
        for number, name in enumerate([*ARCHIVE, *FOLDER[2:]]):
            path = write_png16(root / name, film(60, 50, 60_000, 10 + number))
            source = "archive" if name in ARCHIVE else "folder"
            records[name] = add_image(store, path, source=source)
    running = Server(workspace, records)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[PanelPage]:
    yield from new_page(browser, server)


def test_the_filter_by_source_lists_and_steps_through_the_cases_of_that_source_alone(
    page: PanelPage,
) -> None:
    page.visit("film-0.png")
    names = page.page.locator(".sa-row-name")
    expect(names).to_have_text([*FOLDER[:2], *ARCHIVE, *FOLDER[2:]])
    page.page.locator("#read-filter").get_by_role("button").first.click()
    dropdown(page.page, "read-source", "archive")
    expect(names).to_have_text(ARCHIVE)
    summary = page.page.locator(".sa-summary")
    expect(summary).to_have_text("0 of 7 read · 2 match")
    dropdown(page.page, "read-source", "folder")
    expect(names).to_have_text(FOLDER)
    page.open("film-1.png")
    page.press("j")
    page.await_case("film-2.png")  # over those of the archive
    expect(names).to_have_text(FOLDER)
    page.press("k")
    page.await_case("film-1.png")
    dropdown(page.page, "read-source", "All")
    expect(names).to_have_text([*FOLDER[:2], *ARCHIVE, *FOLDER[2:]])
    expect(summary).to_have_text("0 of 7 read")


def test_the_pace_is_said_from_the_fourth_commit_on_and_follows_each_further_one(
    page: PanelPage, server: Server
) -> None:
    pace = page.page.locator(".sa-pace")
    for n_read, name in enumerate(FOLDER, start=1):
        page.visit(name) if n_read == 1 else page.open(name)
        page.page.wait_for_timeout(1000)  # so long for each case at least
        page.press("n", "Control+Enter")
        expect(page.page.locator(".sa-summary")).to_have_text(f"{n_read} of 7 read")
        with Store.open(server.workspace) as store:
            commits = store.images.commit_times(READER)
        assert len(commits) == n_read
        expected = pace_text(commits, 7 - n_read)
        assert bool(expected) == (n_read > 3)
        expect(pace).to_have_text(expected)
    expect(pace).to_be_visible()
