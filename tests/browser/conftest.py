"""A real Chromium, a real server in a process of its own, and hands on the reading panel."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from annotations.records import ImageRecord, Reading
from annotations.store import Store
from annotations.workspace import Workspace
from tests.browser.films import make_workspace
from tests.chromium import WAIT_MS, chromium_path

READER = "local reader"
# What Chromium and Gradio say when a server is killed or a page is left while it listens. A
# request that fails is the test's own doing, or shows in what it checks.
ENDED_CONNECTION = (
    "Failed to load resource", "network error", "Connection errored out", "AbortError",
)  # fmt: skip
READY_S = 180.0  # a shared machine may be busy; alone it takes about five seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """The page of one workspace, in a process that can be killed and started again."""

    workspace: Workspace
    records: dict[str, ImageRecord]
    module: str = "tests.browser.reading_app"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        log = (self.workspace.root.parent / "server.log").open("a")
        command = [sys.executable, "-m", self.module, str(self.workspace.root), str(self.port)]
        root = Path(__file__).resolve().parents[2]
        with log:
            self.process = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, text=True)
        self._wait_until_ready(log.name)

    def _wait_until_ready(self, log: str) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        self.stop()
        raise AssertionError(f"the server did not start:\n{Path(log).read_text()}")

    def kill(self) -> None:
        """SIGKILL: nothing is finished or flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=20)
            self.process = None

    def file(self, name: str) -> Path:
        return Path(self.records[name].path)

    def reading(self, name: str) -> Reading:
        with Store.open(self.workspace) as store:
            return store.readings.get(self.records[name].image_id, READER)

    def boxes(self, name: str) -> list[tuple[str, tuple[int, int, int, int]]]:
        return [(one.finding, one.box.corners) for one in self.reading(name).regions]

    def n_logged(self, name: str, kind: str) -> int:
        with Store.open(self.workspace) as store:
            rows = store.log.rows(image_id=self.records[name].image_id, limit=1000)
            return sum(row.kind == kind for row in rows)


class PanelPage:
    """Hands and eyes on one page with the reading panel."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.note(str(error)))
        page.on(
            "console",
            lambda message: self.note(message.text) if message.type == "error" else None,
        )

    def note(self, complaint: str) -> None:
        """Keep what the page complains of, but for a stream that ended with its server or page."""
        if not any(known in complaint for known in ENDED_CONNECTION):
            self.complaints.append(complaint)

    def visit(self, name: str) -> PanelPage:
        """Load the page and open a case."""
        self.page.goto(self.server.url)
        expect(self.page.locator(".sa-rows li").first).to_be_visible()
        # The page opens a case by itself first.
        expect(self.page.locator(".sa-title")).not_to_be_empty()
        return self.open(name)

    def open(self, name: str) -> PanelPage:
        row = self.page.locator(".sa-rows button", has=self.page.get_by_text(name, exact=True))
        row.click()
        return self.await_case(name)

    def await_case(self, name: str) -> PanelPage:
        expect(self.page.locator(".sa-title")).to_have_text(name)
        self.page.wait_for_function(
            "() => document.querySelector('.sa-panel').readingPanel.viewer.picture.raster !== null",
        )
        return self

    def panel(self, expression: str) -> object:
        """The value of an expression in which ``p`` is the panel."""
        return self.page.evaluate(
            f"() => {{ const p = document.querySelector('.sa-panel').readingPanel; "
            f"return {expression}; }}"
        )

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a picture point is on the screen."""
        place = self.page.evaluate(
            """([x, y]) => {
                const panel = document.querySelector('.sa-panel').readingPanel;
                const frame = panel.stage.getBoundingClientRect();
                const view = panel.viewer.picture.view;
                return [frame.left + view.x + x * view.scale, frame.top + view.y + y * view.scale];
            }""",
            [x, y],
        )
        return float(place[0]), float(place[1])

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], *, button: str = "left"
    ) -> None:
        """Drag between two picture points."""
        mouse = self.page.mouse
        mouse.move(*self.point(*start))
        mouse.down(button=button)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*self.point(*middle), steps=3)
        mouse.move(*self.point(*end), steps=3)
        mouse.up(button=button)

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.point(x, y))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self) -> None:
        state = self.page.locator(".sa-saved")
        expect(state).to_have_attribute("data-state", "saved", timeout=60_000)

    def shown(self) -> list[list[int]]:
        """The boxes in the page, as the SVG elements say."""
        texts = self.page.locator(".sa-box").evaluate_all("all => all.map(b => b.dataset.box)")
        return [[int(value) for value in text.split()] for text in texts]


@pytest.fixture(scope="session")
def film_names() -> list[str]:
    plain = [f"film-{index:02d}.png" for index in range(25)]
    return [*plain, "film-8bit.png", "film-mono1.dcm"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, film_names: list[str]) -> Iterator[Server]:
    """One server for a file's tests that do not harm it; each test takes a film of its own."""
    chromium_path()
    running = Server(*make_workspace(tmp_path_factory.mktemp("shared"), film_names))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[PanelPage]:
    yield from new_page(browser, server)


def new_page(browser: Browser, server: Server) -> Iterator[PanelPage]:
    """One page in a context of its own; nothing was complained of when it ends."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    opened = PanelPage(context.new_page(), server)
    yield opened
    context.close()
    assert opened.complaints == []
