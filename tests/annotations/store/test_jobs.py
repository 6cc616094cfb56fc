from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from annotations.errors import StoreError, UnknownRecord
from annotations.findings import STUDY_FINDINGS
from annotations.store import Store
from annotations.store.connection import _PRAGMAS


def test_a_submitted_job_waits_with_its_parameters(store: Store) -> None:
    job = store.jobs.submit("audit", {"modes": ["zs", "lp"], "seed": 3}, "alice")
    assert job.params == {"modes": ["zs", "lp"], "seed": 3}
    assert (job.status, job.owner, job.done, job.total) == ("queued", "alice", 0, 0)
    assert job.started_at is None
    assert store.jobs.get(job.job_id) == job


def test_the_oldest_waiting_job_of_the_asked_kinds_is_claimed(store: Store) -> None:
    first, second, third = (
        store.jobs.submit(kind, {}, "alice").job_id for kind in ("train", "audit", "train")
    )
    claimed = store.jobs.claim(["audit"], 10, 1.5)
    assert claimed is not None
    assert (claimed.job_id, claimed.status) == (second, "running")
    assert claimed.started_at is not None
    ids = [getattr(store.jobs.claim(None, 10, 1.5), "job_id", None) for _ in range(3)]
    assert ids == [first, third, None]
    assert store.jobs.claim([], 10, 1.5) is None


def test_each_job_is_claimed_once_by_two_stores_in_eight_threads(
    store: Store, database: Path
) -> None:
    ids = [store.jobs.submit("audit", {}, "alice").job_id for _ in range(40)]
    with Store(database, STUDY_FINDINGS) as other:

        def work(number: int) -> list[int]:
            claimed = []
            while job := (store, other)[number % 2].jobs.claim(None, number, 1.0):
                claimed.append(job.job_id)
            return claimed

        with ThreadPoolExecutor(8) as pool:
            claimed = [one for part in pool.map(work, range(8)) for one in part]
    assert sorted(claimed) == ids


def test_progress_is_kept_and_says_when_to_stop(store: Store) -> None:
    job_id = store.jobs.submit("audit", {}, "alice").job_id
    store.jobs.claim(None, 10, 1.0)
    assert store.jobs.progress(job_id, 3, 10, "image 3") is False
    job = store.jobs.get(job_id)
    assert (job.done, job.total, job.message) == (3, 10, "image 3")
    assert store.jobs.cancel(job_id).cancel_requested
    assert store.jobs.progress(job_id, 4, 10, "image 4") is True
    ended = store.jobs.finish(job_id, "cancelled", {"rows": 4}, "stopped after 4")
    assert (ended.status, ended.result, ended.message) == (
        "cancelled",
        {"rows": 4},
        "stopped after 4",
    )
    assert store.jobs.progress(job_id, 5, 10, "late") is True
    assert store.jobs.get(job_id).done == 4


def test_a_waiting_job_is_cancelled_at_once_and_a_finished_one_stays(store: Store) -> None:
    waiting = store.jobs.submit("audit", {}, "alice").job_id
    assert store.jobs.cancel(waiting).status == "cancelled"
    assert store.jobs.claim(None, 1, 1.0) is None
    done = store.jobs.submit("audit", {}, "alice").job_id
    store.jobs.claim(None, 1, 1.0)
    finished = store.jobs.finish(done, "done", {}, "")
    assert store.jobs.cancel(done) == finished


def test_jobs_of_a_dead_process_become_interrupted_and_can_go_on(store: Store) -> None:
    dead, alive = (store.jobs.submit("audit", {"n": n}, "alice").job_id for n in (1, 2))
    store.jobs.claim(None, 100, 1.25)
    store.jobs.progress(dead, 7, 9, "seven")
    store.jobs.claim(None, 200, 2.5)
    asked: list[tuple[int, float]] = []

    def is_alive(pid: int, started: float) -> bool:
        asked.append((pid, started))
        return pid == 200

    assert store.jobs.mark_interrupted(is_alive) == [dead]
    assert asked == [(100, 1.25), (200, 2.5)]
    assert store.jobs.get(dead).status == "interrupted"
    assert store.jobs.get(alive).status == "running"
    assert store.jobs.mark_interrupted(is_alive) == []
    resumed = store.jobs.resume(dead)
    assert (resumed.status, resumed.params, resumed.done) == ("queued", {"n": 1}, 7)
    assert resumed.finished_at is None
    again = store.jobs.claim(None, 300, 3.0)
    assert again is not None
    assert again.job_id == dead


def test_a_cancelled_job_that_is_resumed_is_no_longer_asked_to_stop(store: Store) -> None:
    job_id = store.jobs.submit("audit", {}, "alice").job_id
    store.jobs.cancel(job_id)
    store.jobs.resume(job_id)
    store.jobs.claim(None, 1, 1.0)
    assert store.jobs.progress(job_id, 1, 2, "") is False


def test_only_an_ended_job_is_resumed_and_only_a_running_one_finished(store: Store) -> None:
    job_id = store.jobs.submit("audit", {}, "alice").job_id
    with pytest.raises(StoreError, match="is queued; only one that is interrupted, failed or"):
        store.jobs.resume(job_id)
    with pytest.raises(StoreError, match="is queued, not running"):
        store.jobs.finish(job_id, "done", {}, "")
    with pytest.raises(StoreError, match="cannot end as 'running'"):
        store.jobs.finish(job_id, "running", {}, "")
    with pytest.raises(UnknownRecord, match="no job 99"):
        store.jobs.get(99)


def test_the_newest_jobs_come_first(store: Store) -> None:
    ids = [store.jobs.submit(kind, {}, "a").job_id for kind in ("audit", "train", "audit")]
    assert [job.job_id for job in store.jobs.recent(limit=2)] == [ids[2], ids[1]]
    assert [job.job_id for job in store.jobs.recent(kinds=["train"])] == [ids[1]]


def test_old_answers_are_forgotten_and_waiting_and_other_jobs_stay(store: Store) -> None:
    ended = [store.jobs.submit("prompt", {"n": n}, "mira").job_id for n in range(5)]
    for job_id in ended:
        store.jobs.cancel(job_id)
    audit = store.jobs.submit("audit", {}, "mira").job_id
    store.jobs.cancel(audit)
    waiting = store.jobs.submit("prompt", {}, "mira").job_id
    assert store.jobs.forget(("prompt", "explain"), keep=2) == 3
    assert [job.job_id for job in store.jobs.recent()] == [waiting, audit, *ended[:2:-1]]
    assert store.jobs.forget(("prompt", "explain"), keep=2) == 0


def test_the_words_of_a_forgotten_job_are_no_longer_in_the_file(
    store: Store, database: Path
) -> None:
    typed = "enlarged hilum of Mrs Smith"
    job = store.jobs.submit("prompt", {"text": typed}, "mira").job_id
    store.jobs.claim(None, 10, 1.5)
    store.jobs.finish(job, "done", {}, "")
    assert typed.encode() in database.read_bytes()
    assert store.jobs.forget(("prompt",), keep=0) == 1
    assert typed.encode() not in database.read_bytes()
    # This build of SQLite may overwrite without being told to; another one does not.
    assert "PRAGMA secure_delete = ON" in _PRAGMAS


def test_the_worker_reports_itself(store: Store) -> None:
    assert store.jobs.worker() is None
    assert store.jobs.worker_seen_at() is None
    store.jobs.set_worker(100, 1.25)
    store.jobs.set_worker(101, 2.5)
    assert store.jobs.worker() == (101, 2.5)
    assert store.jobs.worker_seen_at() is not None


def test_a_worker_retires_only_when_nothing_waits_and_only_itself(store: Store) -> None:
    store.jobs.set_worker(101, 2.5)
    job = store.jobs.submit("import", {}, "mira")
    assert not store.jobs.retire_worker(101)
    assert store.jobs.worker() == (101, 2.5)
    store.jobs.cancel(job.job_id)
    assert store.jobs.retire_worker(100)
    assert store.jobs.worker() == (101, 2.5)
    assert store.jobs.retire_worker(101)
    assert store.jobs.worker() is None
