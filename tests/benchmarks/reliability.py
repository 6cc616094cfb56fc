"""What the tool must stand: killed writers, fifty readers at once, a very large workspace.

``python -m tests.benchmarks.reliability [--quick]``. Everything happens on this computer, below one
temporary folder; the servers listen on 127.0.0.1 and end with the program.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from annotations.store import Store
from annotations.workspace import Workspace, create_workspace, open_workspace
from tests.benchmarks.big_workspace import READER, big_workspace, new_image
from tests.benchmarks.http_readers import PASSWORD, reader_name
from tests.benchmarks.killed_writers import kill_writers
from tests.benchmarks.report import Figure, report

REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 7968
URL = f"http://127.0.0.1:{PORT}/"
START_LIMIT_S = 120.0
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    n_kills: int
    n_readers: int
    reading_s: float
    n_images: int
    n_regions: int
    n_starts: int


FULL = Size(200, 50, 60.0, 100_000, 1_000_000, 3)
# No start of its own for a figure: the one server of the quick form gives both starts.
QUICK = Size(4, 4, 2.0, 500, 5_000, 0)


def killing(folder: Path, size: Size) -> list[Figure]:
    """SIGKILL in the middle of concurrent edits."""
    workspace = create_workspace(folder / "killed", name="killed", synthetic=True)
    image_ids = add_images(workspace, 3)
    result = kill_writers(workspace, image_ids, size.n_kills)
    print(f"{result.n_kills} writers killed after {result.n_acknowledged:,} acknowledged edits")
    return [
        Figure("writers killed by SIGKILL", result.n_kills, "", size.n_kills, at_most=False),
        Figure("acknowledged edits lost", result.n_lost, "", 0),
        Figure("torn readings", result.n_torn, "", 0),
        Figure("problems found by check (chain)", result.n_problems, "", 0),
    ]


def add_images(workspace: Workspace, n_images: int) -> list[str]:
    """The ids of so many images whose files are nowhere."""
    with Store.open(workspace) as store, store.batch():
        return [store.images.add(new_image(number))[0].image_id for number in range(n_images)]


def serving(workspace: Workspace, size: Size) -> list[Figure]:
    """A warm start, memory at rest, and many readers at once, all over HTTP."""
    add_readers(workspace, size.n_readers)
    with Store.open(workspace) as store:
        image_ids = list(store.images.names())[:200]
    seconds = median_start(workspace.root, size.n_starts)
    with served(workspace.root) as running:
        resident = resident_mb(running.process)
        met = readers_at_once(image_ids, size)
    with Store.open(workspace) as store:
        n_problems = len(store.check(files=False))
    print(f"{len(met['seconds']):,} edits, {met['n_commits']} commits, {size.n_readers} readers")
    for error in met["errors"][:5]:
        print(f"error: {error}")
    return [
        Figure("first page ready, warm", seconds or running.seconds, "s", 4),
        Figure("memory of the idle app", resident, "MB", 350),
        Figure("errors of the readers", len(met["errors"]), "", 0),
        Figure("edit acknowledged, p95", 1000 * percentile_95(met["seconds"]), "ms", 500),
        Figure("problems found by check after it", n_problems, "", 0),
    ]


def readers_at_once(image_ids: list[str], size: Size) -> dict[str, Any]:
    """What the readers met, in a process of their own."""
    command = [sys.executable, "-m", "tests.benchmarks.http_readers", URL]
    done = subprocess.run(
        [*command, str(size.n_readers), str(size.reading_s)],
        cwd=REPOSITORY,
        input="\n".join(image_ids),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    met: dict[str, Any] = json.loads(done.stdout)
    return met


def add_readers(workspace: Workspace, n_readers: int) -> None:
    """Accounts with one password; hashed once, for that alone takes a tenth of a second."""
    from audit_app.accounts import hash_password

    hashed = hash_password(PASSWORD)
    with Store.open(workspace) as store:
        for number in range(n_readers):
            store.accounts.add(reader_name(number), "reader", hashed)


def median_start(root: Path, n_starts: int) -> float:
    """From the command to the page's first answer, after one start that warms the caches."""
    seconds = []
    for _ in range(n_starts + 1 if n_starts else 0):
        with served(root) as running:
            seconds.append(running.seconds)
    return statistics.median(seconds[1:]) if n_starts else 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """A page that answers, and how long that took from the command on."""

    process: subprocess.Popen[bytes]
    seconds: float


@contextmanager
def served(root: Path) -> Iterator[Running]:
    """``launch.py ui`` on a workspace, once it answers; stopped in the end."""
    command = [sys.executable, "launch.py", "ui", str(root), "--port", str(PORT), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, env=environment)
    try:
        wait_for_page(process)
        yield Running(process, time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_for_page(process: subprocess.Popen[bytes]) -> None:
    """Until the page answers.

    Raises:
        RuntimeError: If the program ended instead.
        TimeoutError: After two minutes.
    """
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"launch.py ui ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(URL, timeout=5) as answer:
                answer.read()
                return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"the page did not answer within {START_LIMIT_S:.0f} s")


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Megabytes that the program and its children hold, after a moment of rest."""
    time.sleep(1)
    root = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in (root, *root.children(recursive=True))) / MEBIBYTE


def percentile_95(values: list[float]) -> float:
    """The 95th percentile; infinite when nothing was measured."""
    if not values:
        return float("inf")
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def large(workspace: Workspace, size: Size) -> list[Figure]:
    """The worklist and the start of a very large workspace."""
    pages = worklist_seconds(workspace, size.n_images)
    figures = [Figure(f"worklist page of {size.n_images:,} images", 1000 * pages, "ms", 100)]
    if size.n_starts:
        starting = median_start(workspace.root, size.n_starts)
        figures.append(Figure(f"start with {size.n_regions:,} regions", starting, "s", 5))
    return figures


def make_large(folder: Path, size: Size) -> Workspace:
    """The very large workspace."""
    start = time.perf_counter()
    workspace = big_workspace(folder / "large", n_images=size.n_images, n_regions=size.n_regions)
    megabytes = workspace.database.stat().st_size / MEBIBYTE
    print(
        f"made {size.n_images:,} images with {size.n_regions:,} regions "
        f"({megabytes:,.0f} MB) in {time.perf_counter() - start:.0f} s"
    )
    return workspace


def worklist_seconds(workspace: Workspace, n_images: int) -> float:
    """The slowest of the first, a middle and the last page, filtered and searched pages."""
    from audit_app.services import Services
    from audit_app.session import Visitor
    from audit_app.settings import Settings
    from audit_app.viewer.state import Filters, worklist_value

    visitors = (Visitor(READER, "reader"), Visitor("reader 1", "reader"))
    asked = [
        (Filters(), 0),
        (Filters(), n_images // 100),
        (Filters(), n_images // 50 - 1),
        (Filters(status="new"), 0),
        (Filters(status="committed"), 0),
        (Filters(search="99"), 0),
    ]
    medians = []
    with Store.open(open_workspace(workspace.root)) as store:
        services = Services(workspace, store, Settings(open_browser=False))
        for visitor in visitors:
            for filters, page in asked:
                seconds = []
                for _ in range(5):
                    start = time.perf_counter()
                    worklist_value(services, visitor, filters, page=page)
                    seconds.append(time.perf_counter() - start)
                medians.append(statistics.median(seconds))
    return max(medians)


def main(arguments: list[str]) -> int:
    """Measure and report; 1 when a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    size = QUICK if parser.parse_args(arguments).quick else FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The writers are forked: first, while this process has no threads.
        figures = killing(folder, size)
        workspace = make_large(folder, size)
        figures += large(workspace, size)
        if size is FULL:
            workspace = create_workspace(folder / "served", name="served", synthetic=True)
            add_images(workspace, 200)
        figures += serving(workspace, size)
    return report(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
