"""Prompts edited in the page: a table cell becomes the model's next version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.models import add_model, load_entry
from tests.browser.conftest import PanelPage, chromium_path
from tests.browser.product import App

LONG_MS = 60_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    chromium_path()
    workspace = create_workspace(tmp_path / "workspace", name="ward")
    with Store.open(workspace) as store:
        add_model(workspace, store, "demo-cnn")
        add_model(workspace, store, "demo-vit")
    running = App(workspace, {})
    running.start()
    yield running
    running.stop()


@pytest.mark.browser
def test_prompts_are_saved_as_versions_and_unsaved_ones_outlive_a_look_at_another_tab(
    browser: Browser, app: App, repo_root: Path
) -> None:
    demo = repo_root / "model_store" / "demo" / "weights" / "demo-cnn"
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    panel = PanelPage(context.new_page(), app)
    page = panel.page
    page.goto(app.url)
    page.get_by_role("tab", name="Data & models").click()
    expect(page.locator("#model-list")).to_contain_text("demo-vit", timeout=LONG_MS)
    page.locator("#prompts button").first.click()
    expect(page.locator("#prompt-status")).to_contain_text("Version 1, in use")
    page.locator("#prompt-model input").click()
    page.get_by_role("option", name="demo-vit").click()
    expect(page.locator("#prompt-model input")).to_have_value("demo-vit")
    expect(page.locator("#prompt-status")).to_contain_text("Version 1, in use")

    page.locator("#prompt-table [role=gridcell]").nth(1).dblclick()
    page.keyboard.type("wide mediastinum; broad mediastinum")
    page.keyboard.press("Enter")
    page.locator("#prompt-save").click()
    expect(page.locator("#prompt-status")).to_contain_text("Saved as version 2")

    with Store.open(app.workspace) as store:
        entry = load_entry(store, "demo-vit")
    assert entry.prompts.synonyms == {
        "Enlarged Cardiomediastinum": ("wide mediastinum", "broad mediastinum")
    }
    assert entry.prompt_version(1).synonyms == {}

    page.locator("#prompt-template textarea, #prompt-template input").fill("film of {finding}")
    page.get_by_role("tab", name="Read").click()
    with Store.open(app.workspace) as store:
        add_model(app.workspace, store, "third", path=demo)
    page.get_by_role("tab", name="Data & models").click()
    expect(page.locator("#model-list")).to_contain_text("third", timeout=LONG_MS)
    expect(page.locator("#prompt-model input")).to_have_value("demo-vit")
    template = page.locator("#prompt-template textarea, #prompt-template input")
    expect(template).to_have_value("film of {finding}")
    assert panel.complaints == []
    context.close()
