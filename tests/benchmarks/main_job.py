"""The main job's waits: importing a data set, making the demo, the page's first answer, an audit.

``python -m tests.benchmarks.main_job [--quick] [--data FOLDER]``: FOLDER holds ``iu_xray``; without
it the import is measured on made-up pictures of the same size and number.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from annotations.importing import import_source
from annotations.store import Store
from annotations.workspace import create_workspace, open_workspace
from tests.benchmarks.report import Figure, report

REPOSITORY = Path(__file__).resolve().parents[2]
N_PICTURES = 1560
SIDE = 256
PORT = 7969


def timed(act: Callable[[], object]) -> float:
    """Seconds that it took."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def import_seconds(folder: Path, data: Path | None, n_pictures: int) -> float:
    """One import into a new workspace."""
    workspace = create_workspace(folder / "import", name="import")
    source, kind = (data / "iu_xray", "iu-xray") if data else (folder / "made", "folder")
    if data is None:
        source.mkdir()
        random = np.random.default_rng(0)
        for number in range(n_pictures):
            pixels = random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
            Image.fromarray(pixels).save(source / f"{number:05d}.jpg")
    with Store.open(workspace) as store:
        return timed(lambda: import_source(workspace, store, source, kind))


def page_seconds(root: Path, repeats: int) -> float:
    """From the command to the page's first answer; the median of several starts."""
    command = [sys.executable, "launch.py", "ui", str(root), "--port", str(PORT), "--no-browser"]
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        try:
            wait_for_page(start)
            seconds.append(time.perf_counter() - start)
        finally:
            process.terminate()
            process.wait(timeout=30)
    return statistics.median(seconds)


def wait_for_page(start: float) -> None:
    """Until the page answers, a minute at most."""
    while time.perf_counter() - start < 60:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5) as answer:
                answer.read()
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the page did not answer within a minute")


def audit_seconds(root: Path, out: Path, modes: str) -> float:
    """An audit of the demo's readings, with loading the model."""
    command = [sys.executable, "launch.py", "audit", str(root), "--model", "demo-cnn"]
    command += ["--modes", modes]
    return timed(
        lambda: subprocess.run(
            [*command, "--out", str(out)], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL
        )
    )


def main(arguments: list[str]) -> int:
    """Measure and report; 1 when a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args(arguments)
    from audit_app.demo import N_IMAGES, create_demo

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = [
            Figure(
                "import of the IU-Xray pictures" if given.data else "import of made-up pictures",
                import_seconds(folder, given.data, 20 if given.quick else N_PICTURES),
                "s",
                60,
            )
        ]
        demo = folder / "demo"
        n_phantoms = 4 if given.quick else N_IMAGES
        making = timed(lambda: create_demo(demo, progress=lambda *_: False, n_images=n_phantoms))
        with Store.open(open_workspace(demo)) as store:
            for job in store.jobs.recent():
                store.jobs.cancel(job.job_id)
        figures.append(Figure("making the demo workspace", making, "s", 60))
        repeats = 1 if given.quick else 5
        figures.append(Figure("page's first answer", page_seconds(demo, repeats), "s", 10))
        modes = "zs" if given.quick else "zs,lp,ft"
        taken = audit_seconds(demo, folder / "out", modes)
        figures.append(Figure(f"audit of the demo, {modes}", taken, "s", 60))
    return report(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
