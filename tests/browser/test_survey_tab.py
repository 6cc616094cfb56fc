"""The Survey tab in a real Chromium: run, watch, cancel, resume, read the grid, take the table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from annotations.importing import import_source
from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.models import add_model
from audit_app.reports.summary import MACRO
from audit_app.reports.survey import CHOSEN
from tests.browser.conftest import PanelPage
from tests.browser.test_main_job import App
from tests.chromium import chromium_path

N_FILMS = 12
LONG_MS = 300_000  # a shared machine may need minutes to load torch; alone it takes seconds
N_LAYERS = 4


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    root = tmp_path_factory.mktemp("survey")
    films = root / "films"
    films.mkdir()
    for number in range(N_FILMS):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12), dtype=np.uint8)
        Image.fromarray(np.kron(pixels, np.ones((10, 10), np.uint8))).save(films / f"{number}.png")
    workspace = create_workspace(root / "workspace", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, films, "folder")
        add_model(workspace, store, "demo-vit")
        for image in store.images.all():
            region = Region("", "Cardiomegaly", "definite", Box(30, 30, 90, 80))
            store.readings.import_committed(image.image_id, "mira", "imported", [region], False)
    running = App(workspace, {})
    running.start()
    yield running
    running.stop()


def tick_only(page: Page, *methods: str) -> None:
    for box in page.locator("#survey-methods label").all():
        box.locator("input").set_checked(box.inner_text().strip() in methods)


@pytest.mark.browser
def test_a_survey_is_stopped_resumed_and_read(browser: Browser, app: App, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    panel = PanelPage(context.new_page(), app)
    page = panel.page
    page.goto(app.url)
    page.get_by_role("tab", name="Survey").click()
    expect(page.locator("#survey-headline")).to_contain_text("No survey yet", timeout=LONG_MS)
    expect(page.locator("#survey-mode input")).to_have_value("Zero-shot", timeout=LONG_MS)
    tick_only(page, "Grad-CAM", "HiResCAM", "EigenCAM", "RandomCAM")
    page.locator("#survey-start").click()

    cells = page.locator("#survey-grid [data-cell]")
    expect(cells.first).to_be_visible(timeout=LONG_MS)
    page.locator("#survey-cancel").click()
    expect(page.locator("#survey-status")).to_contain_text("survey cancelled", timeout=LONG_MS)
    page.locator("#survey-resume").click()
    expect(page.locator("#survey-status")).to_contain_text("survey done", timeout=LONG_MS)

    expect(cells).to_have_count(4 * N_LAYERS)
    expect(page.locator("#survey-grid [data-chance]")).to_have_count(1)
    expect(page.locator("#survey-grid [data-best]")).to_have_count(1)
    expect(page.locator("#survey-headline")).to_contain_text(CHOSEN)
    with page.expect_download() as download:
        page.locator("#survey-links a", has_text="survey.csv").click()
    path = tmp_path / "survey.csv"
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["finding"] == MACRO]
    shown = {cell.get_attribute("data-cell"): cell.inner_html() for cell in cells.all()}
    assert len(rows) == len(shown)
    for row in rows:
        text = shown[f"{row['method']} {row['layer']}"]
        low, high = float(row["hit_low"]), float(row["hit_high"])
        assert f">{float(row['hit']):.2f}</text>" in text
        assert f">{low:.2f} to {high:.2f}</text>" in text
        assert f">n {row['n_scored']}" in text
        assert row["n_patients"] == str(N_FILMS)
    assert panel.complaints == []
    context.close()
