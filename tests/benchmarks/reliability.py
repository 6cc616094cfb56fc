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
QUICK = Size(4, 4, 2.0, 500, 5_000, 1)


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


def serving(folder: Path, size: Size) -> list[Figure]:
    """A warm start, memory at rest, and many readers at once, all over HTTP."""
    workspace = create_workspace(folder / "served", name="served", synthetic=True)
    image_ids = add_images(workspace, 200)
    add_readers(workspace, size.n_readers)
    start_seconds(workspace.root)  # files come into the system's cache
    seconds = statistics.median(start_seconds(workspace.root) for _ in range(size.n_starts))
    with served(workspace.root) as process:
        resident = resident_mb(process)
        command = [sys.executable, "-m", "tests.benchmarks.http_readers", URL]
        command += [str(size.n_readers), str(size.reading_s)]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            input="\n".join(image_ids),
            capture_output=True,
            text=True,
            check=True,
        )
    met = json.loads(done.stdout)
    with Store.open(workspace) as store:
        n_problems = len(store.check(files=False))
    print(
        f"{len(met['seconds']):,} edits and {met['n_commits']} commits by {size.n_readers} readers"
    )
    for error in met["errors"][:5]:
        print(f"error: {error}")
    return [
        Figure("first page ready, warm", seconds, "s", 4),
        Figure("memory of the idle app", resident, "MB", 350),
        Figure("errors of the readers", len(met["errors"]), "", 0),
        Figure("edit acknowledged, p95", 1000 * percentile_95(met["seconds"]), "ms", 500),
        Figure("problems found by check after it", n_problems, "", 0),
    ]


def add_readers(workspace: Workspace, n_readers: int) -> None:
    """Accounts with one password; hashed once, for that alone takes a tenth of a second."""
    from audit_app.accounts import hash_password

    hashed = hash_password(PASSWORD)
    with Store.open(workspace) as store:
        for number in range(n_readers):
            store.accounts.add(reader_name(number), "reader", hashed)


def start_seconds(root: Path) -> float:
    """From the command to the page's first answer."""
    start = time.perf_counter()
    with served(root):
        return time.perf_counter() - start


@contextmanager
def served(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``launch.py ui`` on a workspace, once it answers; stopped in the end."""
    command = [sys.executable, "launch.py", "ui", str(root), "--port", str(PORT), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, env=environment)
    try:
        wait_for_page(process)
        yield process
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


def large(folder: Path, size: Size) -> list[Figure]:
    """The worklist and the start of a very large workspace."""
    start = time.perf_counter()
    workspace = big_workspace(folder / "large", n_images=size.n_images, n_regions=size.n_regions)
    megabytes = workspace.database.stat().st_size / MEBIBYTE
    print(
        f"made {size.n_images:,} images with {size.n_regions:,} regions "
        f"({megabytes:,.0f} MB) in {time.perf_counter() - start:.0f} s"
    )
    pages = worklist_seconds(workspace, size.n_images)
    start_seconds(workspace.root)
    starting = statistics.median(start_seconds(workspace.root) for _ in range(size.n_starts))
    return [
        Figure(f"worklist page of {size.n_images:,} images, slowest", 1000 * pages, "ms", 100),
        Figure(f"start with {size.n_regions:,} regions", starting, "s", 5),
    ]


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
        figures += large(folder, size)
        figures += serving(folder, size)
    return report(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
