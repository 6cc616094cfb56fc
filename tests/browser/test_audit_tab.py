"""A finished audit in a real Chromium: its first line, table, plots, rows and the way to a case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from annotations.importing import import_source
from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.audit_job import run_folder
from audit_app.audit_result import summary_of
from audit_app.models import add_model
from tests.audit_app.reports.made_audit import CHOICES, FINDINGS, made_audit, made_rows
from tests.browser.conftest import PanelPage
from tests.browser.product import App
from tests.chromium import chromium_path

N_FILMS = 12
LONG_MS = 90_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A workspace with a finished audit, and no job that would have to run."""
    chromium_path()
    root = tmp_path_factory.mktemp("audit")
    films = root / "films"
    films.mkdir()
    for number in range(N_FILMS):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(films / f"film {number:02d}.png")
    workspace = create_workspace(root / "workspace", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, films, "folder")
        add_model(workspace, store, "demo-cnn")
        images = [image.image_id for image in store.images.all()]
        for place, image_id in enumerate(images):
            region = Region("", FINDINGS[place % 2], "definite", Box(5, 5, 20, 20))
            store.readings.import_committed(image_id, "mira", "imported", [region], False)
        rows = made_rows(N_FILMS)
        for place, row in enumerate(rows):
            row |= {"image_id": images[place // 2], "model": "demo-cnn"}
        audit = made_audit(rows)
        run = store.audits.create("anna", replace(CHOICES, model="demo-cnn").to_dict())
        store.audits.add_rows(run.run_id, rows)
        folder = run_folder(workspace, run.run_id)
        folder.mkdir(parents=True)
        (folder / "summary.csv").write_text("finding\r\n")
        store.audits.finish(run.run_id, "done", {**summary_of(audit), "files": ["summary.csv"]})
    running = App(workspace, {})
    running.start()
    yield running
    running.stop()


@pytest.mark.browser
def test_an_audit_is_read_from_its_first_line_down_to_a_case(browser: Browser, app: App) -> None:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    panel = PanelPage(context.new_page(), app)
    page = panel.page
    page.goto(app.url)
    page.get_by_role("tab", name="Audit", exact=True).click()
    first = page.locator("#audit-headline .first-line")
    expect(first).to_contain_text("The maps of demo-cnn", timeout=LONG_MS)
    expect(page.locator("#audit-links a")).to_have_text(["Download summary.csv"])

    grid = page.locator("#audit-grid-table")
    expect(grid.locator("td.best").first).to_be_visible()
    expect(page.locator("#audit-chart-0 .js-plotly-plot .point").first).to_be_visible()
    page.locator("#audit-measure label", has_text="IoU").click()
    expect(grid.locator("caption")).to_have_text("IoU")

    grid.get_by_role("button").nth(3).click()  # the second finding under the second mode
    expect(page.get_by_role("tab", name="Rows")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#audit-only-finding input")).to_have_value(FINDINGS[1])
    shown = page.locator("#audit-rows").get_by_role("gridcell", name=FINDINGS[1])
    expect(shown).to_have_count(N_FILMS // 2)
    expect(page.locator("#audit-rows").get_by_role("gridcell", name=FINDINGS[0])).to_have_count(0)

    for name, text in (
        ("Controls", "a random map"),
        ("Differences", "Zero-shot - Linear probe"),
        ("Human ceiling", "One reader"),
        ("Method", "CLAIM 2024"),
    ):
        page.get_by_role("tab", name=name).click()
        expect(page.locator("#audit-tabs").get_by_text(text).first).to_be_visible()
    page.get_by_role("tab", name="Plots").click()
    expect(page.locator("#audit-chart-3 .js-plotly-plot path").first).to_be_visible()

    page.get_by_role("tab", name="Worst").click()
    page.locator("#audit-worst").get_by_role("gridcell", name="mira").first.click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#compare-sentence")).to_contain_text("demo-cnn beside", timeout=LONG_MS)
    assert panel.complaints == []
    context.close()
