"""The whole job once, as a user does it: open, mark, commit, see three maps, take the CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from annotations.importing import import_source
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.models import add_model
from tests.browser.conftest import PanelPage
from tests.browser.product import App
from tests.chromium import chromium_path

FILM = "1000_IM-0003-1001.dcm"
FINDING = "Cardiomegaly"
HEIGHT, WIDTH = 2496, 2048
GRID = 96
MODES = {"Zero-shot": "zs", "Linear probe": "lp", "Fine-tune": "ft"}
LONG_MS = 90_000


@pytest.fixture(scope="module")
def app(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    chromium_path()
    root = tmp_path_factory.mktemp("main-job")
    workspace = create_workspace(root / "workspace", name="ward")
    with Store.open(workspace) as store:
        import_source(workspace, store, shared_data / "iu_xray" / "full_size", "folder")
        add_model(workspace, store, "demo-cnn")
        records = {Path(image.name).stem: image for image in store.images.all()}
    running = App(workspace, records)
    running.start()
    yield running
    running.stop()


@pytest.mark.browser
@pytest.mark.real_data
def test_a_box_on_a_real_radiograph_becomes_its_row_in_the_csv(
    browser: Browser, app: App, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    panel = PanelPage(context.new_page(), app)
    name = app.records[FILM].name

    panel.visit(name)
    panel.press("2")
    expect(panel.page.locator(".sa-panel [aria-pressed=true]", has_text=FINDING)).to_be_visible()
    panel.drag((780, 1150), (1560, 1790))
    panel.saved()
    (drawn,) = panel.shown()
    assert abs(drawn[0] - 780) <= 8
    assert abs(drawn[3] - 1790) <= 8

    panel.visit(name)
    assert panel.shown() == [drawn]
    assert app.boxes(FILM) == [(FINDING, tuple(drawn))]

    panel.page.get_by_role("button", name="Commit reading").click()
    expect(panel.page.locator(".sa-title + .sa-badge")).to_have_text("committed")

    shown = compare(panel.page)
    rows = audit(panel.page, tmp_path)
    assert sorted(row["mode"] for row in rows) == ["ft", "lp", "zs"]
    for row in rows:
        check_geometry(row, drawn)
        numbers = shown[row["mode"]]
        assert numbers["Status"] == row["status"]
        assert numbers["Hit"] == f"{float(row['hit']):.3f}"
        assert numbers["IoU"] == f"{float(row['iou']):.3f}"
        assert numbers["Energy in box"] == f"{float(row['energy_in_box']):.3f}"
    reopen_from_row(panel.page)
    assert panel.complaints == []
    context.close()


def reopen_from_row(page: Page) -> None:
    """A click on a row of the audit leads to its maps."""
    page.get_by_role("tab", name="Rows").click()
    page.locator("#audit-rows").get_by_role("gridcell", name=FINDING).first.click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#compare-sentence")).to_contain_text(f"{FINDING}: demo-cnn beside")
    expect(page.locator(".sa-pane .sa-numbers dt", has_text="IoU")).to_have_count(3)


def compare(page: Page) -> dict[str, dict[str, str]]:
    """The numbers under the three maps, by mode."""
    page.locator(".sa-compare-link").click()
    panes = page.locator(".sa-pane")
    expect(panes).to_have_count(3, timeout=LONG_MS)
    for index in range(3):
        numbers = panes.nth(index).locator(".sa-numbers dt", has_text="IoU")
        expect(numbers).to_have_count(1, timeout=LONG_MS)
    return {
        MODES[panes.nth(index).locator("h3").inner_text()]: dict(
            zip(
                panes.nth(index).locator("dt").all_inner_texts(),
                panes.nth(index).locator("dd").all_inner_texts(),
                strict=True,
            )
        )
        for index in range(3)
    }


def audit(page: Page, folder: Path) -> list[dict[str, str]]:
    """Run an audit in the page and download its rows."""
    page.get_by_role("tab", name="Audit").click()
    expect(page.locator("#audit-modes input:checked")).to_have_count(3, timeout=LONG_MS)
    page.locator("#audit-start").click()
    link = page.locator("#audit-links a", has_text="agreement.csv")
    expect(link).to_be_visible(timeout=LONG_MS)
    with page.expect_download() as download:
        link.click()
    path = folder / "agreement.csv"
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def check_geometry(row: dict[str, str], box: list[int]) -> None:
    """The row's geometry, by hand: shortest edge to 96, then the centre crop."""
    scale_x = GRID / WIDTH
    resized = int(GRID * HEIGHT / WIDTH)
    scale_y = resized / HEIGHT
    top = round((resized - GRID) / 2)
    x_min, y_min, x_max, y_max = (
        box[0] * scale_x,
        box[1] * scale_y - top,
        box[2] * scale_x,
        box[3] * scale_y - top,
    )
    columns = sum(x_min <= j + 0.5 < x_max for j in range(GRID))
    lines = sum(y_min <= i + 0.5 < y_max for i in range(GRID))
    assert row["finding"] == FINDING
    assert row["reader"] == "local reader"
    assert row["blinded"] == "true"
    assert int(row["n_boxes"]) == 1
    assert float(row["visible_fraction"]) == 1.0
    assert float(row["chance_hit"]) == pytest.approx(columns * lines / GRID**2, abs=1e-12)
