"""One queue of events for all accounts, of which none may fill more than its share."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import httpx
import pytest

from annotations.store import Store
from annotations.store.trail import LogFilter
from annotations.workspace import create_workspace
from audit_app.accounts import add_account
from audit_app.handlers import handler
from audit_app.queue_share import EVENTS_PER_ACCOUNT, QUEUE_SIZE
from audit_app.services import Services
from audit_app.serving import start
from audit_app.settings import Settings
from tests.audit_app.guarded_page import PRIVATE, event_number

PASSWORD = "correct horse battery"
RUN_AT_ONCE = 8  # of one event, see ``default_concurrency_limit``


@dataclass
class Busy:
    """A page with an event that lasts until the gate is opened, and one that does not."""

    demo: gr.Blocks
    gate: threading.Event
    store: Store
    clients: dict[str, httpx.Client]

    def join(self, name: str, event: str) -> httpx.Response:
        number = event_number(self.demo, event)
        body = {"data": [], "fn_index": number, "session_hash": f"page-of-{name}"}
        return self.clients[name].post("/gradio_api/queue/join", json=body)

    def next_result(self, name: str) -> str:
        address = f"/gradio_api/queue/data?session_hash=page-of-{name}"
        with self.clients[name].stream("GET", address) as stream:
            return next(line for line in stream.iter_lines() if "process_completed" in line)


def build_demo(services: Services, gate: threading.Event) -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as demo:
        result = gr.Textbox()

        @handler(services)
        def slow() -> str:
            gate.wait(60)
            return "late"

        @handler(services)
        def quick() -> str:
            return "at once"

        gr.Button("Slow").click(slow, None, result, **PRIVATE)
        gr.Button("Quick").click(quick, None, result, **PRIVATE)
    return demo


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    workspace = create_workspace(tmp_path / "w", name="test", synthetic=True)
    settings, gate = Settings(open_browser=False), threading.Event()
    with Store.open(workspace) as store:
        for name in ("anna", "berta"):
            add_account(store, name, "reader", PASSWORD)
        services = Services(workspace, store, settings)
        demo = build_demo(services, gate)
        running = start(demo, services, settings)
        clients = {
            name: httpx.Client(base_url=running.url, timeout=60) for name in ("anna", "berta")
        }
        try:
            for name, client in clients.items():
                form = {"username": name, "password": PASSWORD}
                assert client.post("/login", data=form).status_code == 200
            yield Busy(demo, gate, store, clients)
        finally:
            gate.set()
            for client in clients.values():
                client.close()
            running.close()


def test_an_account_that_floods_the_queue_leaves_another_one_able_to_work(busy: Busy) -> None:
    n_sent = 2 * QUEUE_SIZE
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: busy.join("berta", "slow"), range(n_sent)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert EVENTS_PER_ACCOUNT <= statuses[200] <= EVENTS_PER_ACCOUNT + RUN_AT_ONCE
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "wait for their turn" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    rows = busy.store.trail.find(LogFilter(kind="refused", actor="berta"), limit=100)
    assert rows[0].details["status"] == 429

    assert busy.join("anna", "quick").status_code == 200
    assert "at once" in busy.next_result("anna")


def test_an_account_may_go_on_when_what_it_asked_for_is_done(busy: Busy) -> None:
    while busy.join("berta", "slow").status_code == 200:
        pass
    busy.gate.set()
    assert "late" in busy.next_result("berta")
    # Those that wait run now, eight at a time.
    for _ in range(100):
        answer = busy.join("berta", "quick")
        if answer.status_code == 200:
            break
        threading.Event().wait(0.1)
    assert answer.status_code == 200
