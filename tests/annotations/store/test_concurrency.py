from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from annotations.errors import StaleEdit, StoreError
from annotations.findings import STUDY_FINDINGS
from annotations.records import Edit, ImageRecord, NewImage, Region
from annotations.regions import Box
from annotations.store import Store

# A process that saves boxes one after the other and says so after each; argv: database, image,
# reader, how many, prefix of the region ids.
WRITER = """
import sys
from pathlib import Path
from annotations.errors import StaleEdit
from annotations.findings import STUDY_FINDINGS
from annotations.records import Edit, Region
from annotations.regions import Box
from annotations.store import Store

database, image_id, reader, count, prefix = sys.argv[1:]
with Store(Path(database), STUDY_FINDINGS) as store:
    version = store.readings.get(image_id, reader).version
    for number in range(int(count)):
        region = Region(f"{prefix}{number}", "Edema", "definite", Box(1, 1, 5, 5))
        while True:
            edit = Edit(prefix, number, image_id, version, "put", region)
            try:
                version = store.readings.apply(edit, reader).version
                break
            except StaleEdit as stale:
                version = stale.current.version
        print(region.region_id, flush=True)
"""


def start_writer(
    repo_root: Path, database: Path, image_id: str, reader: str, count: int, prefix: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(database), image_id, reader, str(count), prefix],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repo_root)},
    )


def put_edit(image_id: str, version: int, client: str, number: int) -> Edit:
    region = Region(f"{client}{number}", "Edema", "definite", Box(1, 1, 5, 5))
    return Edit(client, number, image_id, version, "put", region)


def test_two_hundred_edits_of_one_reading_from_two_processes_are_all_kept(
    store: Store, database: Path, image: ImageRecord, repo_root: Path
) -> None:
    writers = [
        start_writer(repo_root, database, image.image_id, "alice", 100, name) for name in "ab"
    ]
    said = [writer.communicate(timeout=120)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    reading = store.readings.get(image.image_id, "alice")
    assert {one.region_id for one in reading.regions} == {*said[0], *said[1]}
    assert (len(reading.regions), reading.version) == (200, 200)
    assert store.check(files=False) == []


def test_two_hundred_edits_from_eight_threads_are_all_kept(
    store: Store, image: ImageRecord
) -> None:
    def work(thread: int) -> None:
        for number in range(25):
            store.readings.apply(put_edit(image.image_id, number, "c", number), f"reader {thread}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    for thread in range(8):
        assert store.readings.get(image.image_id, f"reader {thread}").version == 25
    assert len([row for row in store.log.rows(limit=1000) if row.kind == "put"]) == 200
    assert store.check(files=False) == []


def test_of_two_edits_on_one_version_at_the_same_moment_one_wins(
    store: Store, image: ImageRecord
) -> None:
    start = threading.Barrier(2)

    def work(client: str) -> str:
        start.wait()
        try:
            store.readings.apply(put_edit(image.image_id, 0, client, 1), "alice")
        except StaleEdit:
            return "refused"
        return "kept"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, ["a", "b"])) == ["kept", "refused"]
    assert store.readings.get(image.image_id, "alice").version == 1


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known on Windows")
@pytest.mark.parametrize("after", [1, 7, 20, 33])
def test_a_killed_process_loses_no_acknowledged_edit(
    store: Store, database: Path, image: ImageRecord, repo_root: Path, after: int
) -> None:
    store.close()
    with start_writer(repo_root, database, image.image_id, "alice", 10_000, "k") as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
    with Store(database, STUDY_FINDINGS) as opened:
        kept = {one.region_id for one in opened.readings.get(image.image_id, "alice").regions}
        assert set(acknowledged) <= kept
        # The one edit in flight may have been stored without its acknowledgement.
        assert len(kept) - len(acknowledged) in (0, 1)
        assert opened.check(files=False) == []


def test_a_store_that_was_closed_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError, match="was closed; open it again"):
        store.images.count()


def test_a_batch_is_stored_as_a_whole_or_not_at_all(
    store: Store, new_image: Callable[..., NewImage]
) -> None:
    def fill() -> None:
        with store.batch():
            store.images.add(new_image("a.png"))
            store.images.add(new_image("b.png"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill()
    assert store.images.count() == 0
    with store.batch():
        store.images.add(new_image("a.png"))
        store.images.add(new_image("b.png"))
    assert store.images.count() == 2


def test_a_step_that_fails_inside_a_batch_takes_only_itself_back(
    store: Store, new_image: Callable[..., NewImage]
) -> None:
    with store.batch():
        kept, _ = store.images.add(new_image("a.png"))
        with pytest.raises(StoreError, match="CHECK"):
            store.images.add(new_image("b.png", height=0, patient_hash="only here"))
        store.labels.set(kept.image_id, "mine", {"Edema": True})
    assert [one.name for one in store.images.all()] == ["a.png"]
    assert store.labels.all("mine") == {kept.image_id: {"Edema": True}}


def test_a_reader_sees_one_state_while_another_thread_writes(
    store: Store, image: ImageRecord
) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            store.readings.apply(put_edit(image.image_id, number, "w", number), "alice")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            reading = store.readings.get(image.image_id, "alice")
            assert len(reading.regions) == reading.version
    finally:
        stop.set()
        writer.join()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_the_connection_of_a_thread_closes_with_it(store: Store, image: ImageRecord) -> None:
    def open_files() -> int:
        targets = []
        for one in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                targets.append(one.readlink())
        return targets.count(store.database)

    store.images.get(image.image_id)
    before = open_files()
    for _ in range(10):
        thread = threading.Thread(target=store.images.get, args=(image.image_id,))
        thread.start()
        thread.join()
    assert open_files() == before == 1
    store.close()
    assert open_files() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_is_told_to_open_its_own_store(store: Store, repo_root: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from annotations.errors import StoreError
from annotations.store import Store
store = Store(Path(sys.argv[1]), ["Edema"])
store.images.count()
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    store.images.count()
except StoreError as error:
    os._exit(7 if "in another process" in str(error) else 8)
os._exit(9)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.database)],
        env={**os.environ, "PYTHONPATH": str(repo_root)},
        check=False,
    )
    assert done.returncode == 7
