"""One page for a whole file of tests: loading Gradio costs more than most tests do."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PanelPage, Server
from tests.chromium import WAIT_MS

VIEWPORT = {"width": 1400, "height": 900}
# What a test may have changed and the next one does not expect.
FRESH = (
    "(p.run('draw'), p.run('reset'), p.viewer.select(null), p.say(''), p.isHidden = false, "
    "p.keyboard.released(), p.viewer.finding = p.meta.findings[0].name, "
    "p.viewer.certainty = 'definite', p.showSidebar(), p.stage.focus(), null)"
)


class SharedPanel(PanelPage):
    """A page that stays open from test to test; each test visits a film of its own."""

    def visit(self, name: str) -> PanelPage:
        """Open a case, in the page as it stands where there is one."""
        if not self.page.url.startswith(self.server.url):
            super().visit(name)
        elif self.page.locator(".sa-title").text_content() == name:
            self.await_case(name)
        else:
            self.open(name)
        self.panel(FRESH)
        return self

    def tidy(self) -> None:
        """Leave the page as a test expects it, or leave it altogether after one that failed."""
        self.page.unroute_all(behavior="ignoreErrors")
        if self.page.viewport_size != VIEWPORT:
            self.page.set_viewport_size(VIEWPORT)  # type: ignore[arg-type]
        read = self.page.get_by_role("tab", name="Read")
        if read.count() and read.get_attribute("aria-selected") == "false":
            read.click()
        state = self.page.locator(".sa-saved")
        if state.count() and state.get_attribute("data-state") == "saved":
            return
        self.page.goto("about:blank")


def open_shared(browser: Browser, server: Server, **options: object) -> Iterator[SharedPanel]:
    """The page of one file of tests."""
    context = browser.new_context(viewport=VIEWPORT, **options)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT_MS)
    yield SharedPanel(context.new_page(), server)
    context.close()


def lend(panel: SharedPanel) -> Iterator[SharedPanel]:
    """The page for one test: what it complains of is held against that test."""
    panel.complaints.clear()
    yield panel
    panel.tidy()
    assert panel.complaints == []


def requests_of(page: Page, part: str) -> list[str]:
    """A list that grows with each request whose address has this part."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if part in request.url else None)
    return seen


def dropdown(page: Page, elem_id: str, choice: str) -> None:
    """Choose in one of Gradio's lists."""
    box = page.locator(f"#{elem_id}").locator("input")
    box.click()
    page.get_by_role("option", name=choice, exact=True).click()
    expect(box).to_have_value(choice)
