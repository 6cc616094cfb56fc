"""Every text that somebody can type or bring along is shown as text in every tab; none runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from annotations.records import ImageRecord, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.audit_job import run_folder
from audit_app.audit_result import summary_of
from audit_app.models import add_model
from audit_app.reports.audit_report import write_report
from tests.audit_app.reports.made_audit import CHOICES, made_audit, made_rows
from tests.browser.conftest import PanelPage
from tests.browser.films import add_image, film, write_png16
from tests.browser.product import App
from tests.chromium import chromium_path

pytestmark = pytest.mark.browser
LONG_MS = 90_000
STRIKE: Final = "strike()"  # without a sign that escaping for HTML would change
# An element with a handler, a script, and what two template languages would evaluate.
HOSTILE: Final = (
    f'"><img src=x onerror={STRIKE}><script>{STRIKE}</script>${{{STRIKE}}}{{{{{STRIKE}}}}}'
)
# A picture of Markdown's makes the browser of whoever sees it ask for an address of this server.
LINK: Final = f"[hurt](javascript:{STRIKE}) ![hurt](/hurt.png)"
N_FILMS: Final = 12
# Where each tab shows such a text; the value of a field counts as shown.
TABS: Final = {
    "Compare": "#compare-case input",
    "Audit": "#audit-chart-0 .js-plotly-plot",  # it is drawn last
    "Evaluate": "#evaluate-labels input",
    "Adjudicate": "#adjudicate-panel",
    "Data & models": "#train-labels input",
    "Settings": "#settings-findings",
    "Log": "#log-table",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A workspace in which every text is hostile."""
    chromium_path()
    root = tmp_path_factory.mktemp("texts")
    workspace = create_workspace(root / "workspace", name=f"ward {HOSTILE}")
    with Store.open(workspace) as store:
        finding = store.add_finding(f"Mass {HOSTILE} {LINK}")
        images = [add_film(store, root / f"film{number}.png") for number in range(N_FILMS)]
        add_model(workspace, store, "demo-cnn")
        region = Region("", finding, "definite", Box(5, 5, 20, 20), f"note {HOSTILE} {LINK}")
        for reader in (f"anna {HOSTILE}", f"bert {LINK}"):
            store.readers.ensure(reader, "imported")
            for image in images:
                store.readings.import_committed(image.image_id, reader, "imported", [region], False)
        for image in images:
            store.labels.set(image.image_id, f"labels {LINK} {HOSTILE}", {finding: True})
        job = store.jobs.submit("import", {"source": HOSTILE, "kind": "folder"}, f"eve {HOSTILE}")
        store.jobs.cancel(job.job_id)
        store.log.add("export", f"eve {HOSTILE}", f"subject {HOSTILE} {LINK}", {"why": HOSTILE})
        add_audit(workspace, store, images, finding)
    running = App(workspace, {})
    running.start()
    yield running
    running.stop()


def add_film(store: Store, path: Path) -> ImageRecord:
    number = int(path.stem.removeprefix("film"))
    return add_image(
        store,
        write_png16(path, film(60, 50, 60000, number)),
        name=f"{number} {HOSTILE}",
        history=f"history {HOSTILE} {LINK}",
        report=f"report {HOSTILE} {LINK}",
    )


def add_audit(workspace: Workspace, store: Store, images: list[ImageRecord], finding: str) -> None:
    """A finished audit whose rows name that finding and a hostile reader, source and view."""
    rows = made_rows(N_FILMS)
    for place, row in enumerate(rows):
        row |= {
            "image_id": images[place // 2].image_id,
            "model": "demo-cnn",
            "finding": finding if row["finding"] == "Cardiomegaly" else row["finding"],
            "reader": f"anna {HOSTILE}",
            "source": f"source {HOSTILE}",
            "view": HOSTILE,
            "status_reason": HOSTILE,
        }
    audit = made_audit(rows, workspace=f"ward {HOSTILE}", warnings=[HOSTILE], left_out=[])
    run = store.audits.create(f"eve {HOSTILE}", replace(CHOICES, model="demo-cnn").to_dict())
    store.audits.add_rows(run.run_id, rows)
    folder = run_folder(workspace, run.run_id)
    folder.mkdir(parents=True)
    files = write_report(folder, audit)
    store.audits.finish(run.run_id, "done", {**summary_of(audit), "files": list(files)})


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(LONG_MS)
    context.add_init_script("window.strike = () => { window.struck = true; }")
    yield context.new_page()
    context.close()


def struck(page: Page) -> list[str]:
    """What of the hostile text became more than text; anything that asks for x is its picture."""
    found: list[str] = page.evaluate(
        """() => [
            ...(window.struck ? ['it ran'] : []),
            ...[...document.querySelectorAll(
                'img[src=x], img[src$="hurt.png"], [onerror], a[href^="javascript:"]'
            )].map((element) => element.outerHTML),
            ...[...document.querySelectorAll('body script')]
                .filter((script) => script.textContent.startsWith('strike'))
                .map((script) => script.outerHTML),
        ]"""
    )
    return found


def test_the_check_finds_what_does_run(page: Page) -> None:
    page.set_content(f"<body>{HOSTILE}{HOSTILE}</body>")
    page.wait_for_function("() => window.struck")
    assert len(struck(page)) >= 3


def test_no_text_of_the_workspace_runs_in_any_tab(page: Page, app: App) -> None:
    panel = PanelPage(page, app)
    page.goto(app.url)
    expect(page.locator("#banner")).to_contain_text("onerror")
    expect(page.locator("#read-panel .sa-title")).to_contain_text("onerror")
    panel.drag((10, 10), (40, 40))
    panel.press("t")
    page.keyboard.type(HOSTILE)
    panel.press("Escape", "Control+Enter")
    expect(page.locator("#read-panel .sa-texts")).to_contain_text("report")
    assert struck(page) == []
    for name in TABS:
        open_tab(page, name)
        assert struck(page) == [], name


def test_axe_finds_nothing_wrong_in_any_tab(page: Page, app: App) -> None:
    page.goto(app.url)
    expect(page.locator("#read-panel .sa-title")).to_contain_text("onerror")
    found = {}
    for name in TABS:
        open_tab(page, name)
        result: dict[str, Any] = Axe().run(page).response
        found[name] = [
            (rule["id"], node["html"][:200])
            for rule in result["violations"]
            for node in rule["nodes"]
        ]
    assert {name: one for name, one in found.items() if one} == {}


def open_tab(page: Page, name: str) -> None:
    """Open a tab and wait until it shows a text of the workspace."""
    page.get_by_role("tab", name=name, exact=True).click()
    shown = page.locator(TABS[name]).first
    if TABS[name].endswith("input"):
        expect(shown).to_have_value(re.compile("onerror"))
    else:
        expect(shown).to_contain_text("onerror")
