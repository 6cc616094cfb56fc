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
# Of the dot that is farthest from all other points of a plot: its row and its place on the screen.
LONELY_DOT = """(plot) => {
  const { left, top } = plot.getBoundingClientRect();
  const points = plot.calcdata.flatMap((drawn) => {
    const { xaxis, yaxis, customdata } = drawn[0].trace;
    const [across, down] = [xaxis, yaxis].map((id) => plot._fullLayout[id.replace(/^./, '$&axis')]);
    return drawn.map((point) => ({
      row: customdata?.[point.i],
      x: left + across._offset + across.c2p(point.x),
      y: top + down._offset + down.c2p(point.y),
    }));
  });
  const room = (one) => Math.min(...points.filter((other) => other !== one)
    .map((other) => Math.hypot(one.x - other.x, one.y - other.y)));
  const [best] = points.filter((one) => one.row).sort((a, b) => room(b) - room(a));
  return [best.row, best.x, best.y];
}"""


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
    chests = page.locator("#audit-chart-3 .js-plotly-plot .shapelayer path")
    expect(chests).to_have_count(2 * 3)  # two lungs and a heart for each mode
    sizes = chests.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect())")
    for number in range(3):
        for side in ("width", "height"):
            assert sizes[number][side] == pytest.approx(sizes[number + 3][side], abs=1)

    page.get_by_role("tab", name="Worst").click()
    page.locator("#audit-worst").get_by_role("gridcell", name="mira").first.click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#compare-sentence")).to_contain_text("demo-cnn beside", timeout=LONG_MS)
    assert panel.complaints == []
    context.close()


@pytest.mark.browser
def test_a_point_in_a_plot_opens_the_case_of_its_row_also_after_the_plot_was_drawn_anew(
    browser: Browser, app: App
) -> None:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    panel = PanelPage(context.new_page(), app)
    page = panel.page
    page.goto(app.url)
    with Store.open(app.workspace) as store:
        (run,) = store.audits.all()
        rows = store.audits.rows(run.run_id)
        names = store.images.names()
    for chart in ("#audit-chart-2", "#audit-chart-3"):  # IoU against size, peaks over the chest
        page.get_by_role("tab", name="Audit", exact=True).click()  # draws all plots anew
        page.get_by_role("tab", name="Plots").click()
        plot = page.locator(f"{chart} .js-plotly-plot")
        expect(plot.locator(".points path").first).to_be_visible(timeout=LONG_MS)
        plot.scroll_into_view_if_needed()
        number, x, y = plot.evaluate(LONELY_DOT)
        page.mouse.click(x, y)
        expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
        row = rows[number - 1]
        expect(page.locator("#compare-case input")).to_have_value(
            f"{names[row['image_id']]} - {row['finding']} (mira)", timeout=LONG_MS
        )
    assert panel.complaints == []
    context.close()
