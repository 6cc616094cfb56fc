"""The guarded page in a real browser: everything the product uses works, nothing complains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.accounts import add_account
from audit_app.services import Services
from audit_app.serving import RunningApp, start
from audit_app.settings import Settings
from tests.audit_app.guarded_page import build_demo

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@dataclass
class Watched:
    """A page and everything that went wrong on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.on(
            "response",
            lambda answer: (
                self._note("error", f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.complaints.append(text)


@contextmanager
def served(folder: Path, settings: Settings, *, accounts: bool) -> Iterator[RunningApp]:
    workspace = create_workspace(folder / "workspace", name="test", synthetic=True)
    with Store.open(workspace) as store:
        if accounts:
            add_account(store, "anna", "reader", PASSWORD)
        services = Services(workspace, store, settings)
        running = start(build_demo(services), services, settings)
        try:
            yield running
        finally:
            running.close()


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("username").fill("anna")
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Login").click()


def use_everything(page: Page, visitor: str) -> None:
    """Each kind of component once: text, table, own script, timer, download."""
    expect(page.locator("#greeting")).to_contain_text(f"hello {visitor}", timeout=20_000)
    expect(page.locator("#table")).to_contain_text("CXR-1")
    expect(page.locator("#own")).to_have_text("the script ran")
    result = page.locator("#result textarea")
    page.locator("#text textarea").fill("abc")
    page.locator("#save").click()
    expect(result).to_have_value("ABC")
    ticks = page.locator("#ticks textarea")
    before = ticks.input_value()
    expect(ticks).not_to_have_value(before, timeout=5_000)
    with page.expect_download() as download:
        page.locator("#export").click()
    assert Path(download.value.path()).read_text() == "finding,hit\nMass,1\n"


def test_without_accounts_everything_works_and_nothing_complains(
    browser: Browser, tmp_path: Path
) -> None:
    with served(tmp_path, Settings(open_browser=False), accounts=False) as running:
        page = browser.new_page()
        watched = Watched(page)
        page.goto(running.url)
        use_everything(page, "local reader")
        assert "dark" in (page.locator("body").get_attribute("class") or "")
        assert watched.complaints == []
        assert watched.hosts == {running.url.split("/")[2]}
        page.close()


def test_an_error_that_quotes_html_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path, Settings(open_browser=False), accounts=False) as running:
        page = browser.new_page()
        page.goto(running.url)
        page.locator("#fail").click()
        expect(page.locator(".toast-body")).to_contain_text("no such finding: <img src=x")
        assert page.evaluate("window.harmed") is None
        assert page.locator(".toast-body img").count() == 0
        page.close()


def test_with_accounts_everything_works_after_the_sign_in(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path, Settings(open_browser=False), accounts=True) as running:
        context = browser.new_context()
        page = context.new_page()
        page.goto(running.url)
        sign_in(page, "wrong password")
        expect(page.get_by_text("Incorrect Credentials")).to_be_visible()
        watched = Watched(page)
        sign_in(page, PASSWORD)
        use_everything(page, "anna")
        page.locator("#administer").click()
        expect(page.locator(".toast-body")).to_contain_text("your role is reader")
        assert watched.complaints == []
        cookies = context.cookies()
        assert {cookie["path"] for cookie in cookies} == {"/", "/login"}
        assert all(cookie["httpOnly"] for cookie in cookies)
        assert {cookie["sameSite"] for cookie in cookies} == {"Strict"}
        page.reload()
        expect(page.locator("#greeting")).to_contain_text("hello anna", timeout=20_000)
        context.close()


def test_a_page_left_alone_ends_at_the_sign_in_although_its_timer_ticks(
    browser: Browser, tmp_path: Path
) -> None:
    settings = replace(Settings(open_browser=False), idle_s=8)
    with served(tmp_path, settings, accounts=True) as running:
        context = browser.new_context()
        page = context.new_page()
        page.goto(running.url)
        sign_in(page, PASSWORD)
        expect(page.locator("#greeting")).to_contain_text("hello anna", timeout=20_000)
        expect(page.get_by_label("password")).to_be_visible(timeout=40_000)
        assert page.locator("#greeting").count() == 0
        context.close()
