"""The Evaluate tab in a real Chromium: start, watch, cancel, come back elsewhere, resume, read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.audit_app.evaluator.labelled_set import FINDINGS, MODEL, SOURCE, make_labelled_set
from tests.browser.conftest import PanelPage
from tests.browser.product import App
from tests.chromium import chromium_path

N_FILMS = 24
N_TEST = 4  # 15 % of twelve patients, two films each
LONG_MS = 300_000  # a shared machine may need minutes to load torch; alone it takes seconds
SIZE = {"width": 1366, "height": 768}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    workspace = make_labelled_set(tmp_path_factory.mktemp("evaluate"), N_FILMS)
    running = App(workspace, {})
    running.start()
    yield running
    running.stop()


def open_tab(browser: Browser, app: App) -> PanelPage:
    """The tab in a browser of its own, filled."""
    context = browser.new_context(viewport=SIZE, accept_downloads=True)
    panel = PanelPage(context.new_page(), app)
    panel.page.goto(app.url)
    panel.page.get_by_role("tab", name="Evaluate").click()
    expect(panel.page.locator("#evaluate-model input")).to_have_value(MODEL, timeout=LONG_MS)
    expect(panel.page.locator("#evaluate-labels input")).to_have_value(SOURCE)
    return panel


def status(page: Page, words: str) -> None:
    expect(page.locator("#evaluate-status")).to_contain_text(words, timeout=LONG_MS)


@pytest.mark.browser
def test_an_evaluation_is_stopped_resumed_elsewhere_read_and_its_15_are_a_project(
    browser: Browser, app: App, tmp_path: Path
) -> None:
    first = open_tab(browser, app)
    page = first.page
    expect(page.locator("#evaluate-headline")).to_contain_text("No evaluation yet")
    page.locator("#evaluate-epochs input, #evaluate-epochs textarea").fill("40")
    page.locator("#evaluate-modes").get_by_label("Linear probe").set_checked(False)
    page.locator("#evaluate-presets").get_by_label("Recommended").set_checked(False)
    page.locator("#evaluate-start").click()
    expect(page.locator("#evaluate-progress [data-fact=Stage]")).to_be_visible(timeout=LONG_MS)
    page.locator("#evaluate-cancel").click()
    status(page, "evaluate cancelled")
    expect(page.locator("#evaluate-progress [data-fact=Finished]")).to_be_visible()

    second = open_tab(browser, app)
    page.context.close()
    page = second.page
    status(page, "evaluate cancelled")
    page.locator("#evaluate-resume").click()
    expect(page.locator("#evaluate-progress [data-fact=Epoch]")).to_contain_text(
        "of 40", timeout=LONG_MS
    )
    status(page, "evaluate done")
    expect(page.locator("#evaluate-progress progress")).to_have_count(0)
    rows = page.locator("#evaluate-report table").first.locator("tr")
    expect(rows).to_have_count(1 + 2 + 2 + 2)  # head, two modes, their nulls, two published
    read_table_equals_file(page, tmp_path)

    page.get_by_role("button", name="The 15 pictures").click()
    expect(page.locator("#fifteen-note")).to_contain_text(f"0 of {N_TEST} are shown")
    page.locator("#fifteen-unread input").check()
    expect(page.locator("#fifteen-note")).not_to_contain_text("are shown")
    natural = page.locator("#fifteen-figure img").evaluate("img => img.decode().then(() => "
                                                           "img.naturalWidth)")  # fmt: skip
    assert natural == 3 * 100 - 4 + 96 + len(FINDINGS) * 100
    page.locator("#fifteen-project").click()
    expect(page.locator(".sa-rows li")).to_have_count(N_TEST)
    second.await_case(page.locator(".sa-rows li button").first.inner_text().split("\n")[0])
    explore_embeddings(page)
    assert [*first.complaints, *second.complaints] == []
    page.context.close()


def read_table_equals_file(page: Page, folder: Path) -> None:
    """What the page shows of zero-shot's F1 is what the downloaded table says."""
    with page.expect_download() as download:
        page.locator("#evaluate-links a", has_text="three_modes.csv").click()
    path = folder / "three_modes.csv"
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        (wanted,) = [
            row for row in csv.DictReader(file) if (row["kind"], row["mode"]) == ("measured", "zs")
        ]
    cells = page.locator("#evaluate-report table").first.locator("tr").nth(1).locator("td")
    assert cells.all_inner_texts()[:5] == [
        "zero-shot", *(f"{float(wanted[name]):.3f}" for name in ("inter", "intra", "ratio", "f1")),
    ]  # fmt: skip


def explore_embeddings(page: Page) -> None:
    """A point shows its picture, is ringed in the other mode's map, and opens its case."""
    page.get_by_role("tab", name="Evaluate").click()
    page.get_by_role("button", name="Embedding explorer").click()
    points = page.locator("#explorer-plot .points path")
    expect(points).to_have_count(2 * N_TEST, timeout=LONG_MS)
    expect(page.locator("#explorer-note")).to_contain_text(f"{N_TEST} test pictures are too few")
    expect(page.locator(".explorer-separation tr")).to_have_count(1 + 2 + 2)
    points.first.scroll_into_view_if_needed()
    points.first.hover(force=True)
    card = page.locator(".sa-explorer-card")
    expect(card).to_be_visible()
    expect(card.locator("dd").first).not_to_be_empty()
    page.wait_for_function("document.querySelector('.sa-card-picture').naturalWidth > 0")
    expect(page.locator("#explorer-plot .sa-ring")).to_have_count(2)
    (case,) = page.locator(".sa-card-picture").evaluate("img => img.src.split('/').slice(-2, -1)")
    points.first.click(force=True)
    expect(page.locator(f".sa-rows li[data-case-id='{case}'] [aria-current=true]")).to_be_visible()
    expect(card).to_be_hidden()
