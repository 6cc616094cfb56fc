"""A model from a hub: fetched by the one job that may, and by nothing else."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from audit_app.environment import NO_DOWNLOADS
from audit_app.errors import AuditError
from audit_app.hub import add_from_hub, is_hub_source
from audit_app.jobs import is_alive, submit_job

WAIT_S = 120.0


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for one repository, ``lab/clip``; waits first when it is slow."""

    def __init__(self, folder: Path, is_slow: bool, *arguments: object) -> None:
        self.folder = folder
        self.is_slow = is_slow
        super().__init__(*arguments)  # type: ignore[arg-type] # as socketserver gives them

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the test's output clean."""

    def _answer(self, *, with_content: bool) -> None:
        if self.is_slow:
            time.sleep(5)
        found = re.fullmatch(r"/lab/clip/resolve/main/([^/]+)", self.path)
        file = self.folder / found[1] if found else self.folder / "nothing"
        content = file.read_bytes() if file.is_file() else b""
        self.send_response(200 if file.is_file() else 404)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        if file.is_file():
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if with_content:
            self.wfile.write(content)


@pytest.fixture
def hub(
    repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """The folder that the hub offers; the processes of this test ask that hub."""
    folder = repo_root / "model_store" / "demo" / "weights" / "demo-cnn"
    is_slow = getattr(request, "param", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder, is_slow))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "w", name="w")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace) as opened:
        yield opened
        worker = opened.jobs.worker()
        if worker is not None and is_alive(*worker):
            process = psutil.Process(worker[0])
            process.kill()
            process.wait()


def add(workspace: Workspace, store: Store, **params: str) -> Job:
    return submit_job(workspace, store, "add model", dict(params), owner="mira")


def ended(store: Store, job: Job) -> Job:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        current = store.jobs.get(job.job_id)
        if current.status not in {"queued", "running"}:
            return current
        time.sleep(0.1)
    raise AssertionError(f"job {job.job_id} is still {store.jobs.get(job.job_id).status}")


def test_the_job_fetches_the_model_and_its_worker_stays_offline(
    hub: Path, workspace: Workspace, store: Store
) -> None:
    done = ended(store, add(workspace, store, name="clip", hub="lab/clip"))

    assert done.status == "done", done.message
    worker = store.jobs.worker()
    assert worker is not None
    assert psutil.Process(worker[0]).environ()["HF_HUB_OFFLINE"] == "1"
    entry = store.models.get("clip")
    assert entry["source"] == "hf-hub:lab/clip"
    weights = (hub / "open_clip_model.safetensors").read_bytes()
    assert (workspace.models / "clip" / "open_clip_model.safetensors").read_bytes() == weights
    assert entry["weights_sha256"] == hashlib.sha256(weights).hexdigest()


def test_no_job_lifts_an_administrators_ban_on_downloads(
    workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NO_DOWNLOADS, "1")
    with pytest.raises(AuditError, match="HF_HUB_OFFLINE was set where the program was started"):
        add_from_hub(workspace, store, "clip", "lab/clip", lambda *_: False)
    assert store.models.all() == {}


def test_a_repository_that_is_not_there_fails_the_job_with_the_sentence(
    hub: Path, workspace: Workspace, store: Store
) -> None:
    assert hub.is_dir()
    failed = ended(store, add(workspace, store, name="clip", hub="lab/none"))

    assert failed.status == "failed"
    assert "open_clip_config.json of lab/none could not be fetched" in failed.message
    assert "clip" not in store.models.all()


@pytest.mark.parametrize("hub", [True], indirect=True)
def test_a_cancelled_download_ends_its_process(
    hub: Path, workspace: Workspace, store: Store
) -> None:
    assert hub.is_dir()
    job = add(workspace, store, name="clip", hub="lab/clip")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and not store.jobs.get(job.job_id).message:
        time.sleep(0.05)
    store.jobs.cancel(job.job_id)

    assert ended(store, job).status == "cancelled"
    worker = store.jobs.worker()
    assert worker is not None
    assert psutil.Process(worker[0]).children() == []
    assert "clip" not in store.models.all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("mine", "", "lab/clip"), True),
        (("biomedclip", "", ""), True),
        (("biomedclip", "/models/biomedclip", ""), False),
        (("demo-cnn", "", ""), False),
        (("mine", "", ""), False),
    ],
)
def test_only_a_model_without_a_local_place_comes_from_a_hub(
    given: tuple[str, str, str], expected: bool
) -> None:
    assert is_hub_source(*given) is expected
