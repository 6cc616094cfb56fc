"""The Audit tab's choices of jobs: whose audit is resumed, which one is watched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from annotations.errors import StoreError
from annotations.records import Job
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.errors import AuditError
from audit_app.jobs import is_alive, own_start
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.tabs.audit import resume_own
from audit_app.tabs.audit_form import KIND
from audit_app.tabs.jobs import newest_job

ANNA, BEN = Visitor("anna", "auditor"), Visitor("ben", "auditor")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = create_workspace(tmp_path / "w", name="test")
    with Store.open(workspace) as store:
        # This process stands for the worker: nothing takes the jobs of these tests.
        store.jobs.set_worker(psutil.Process().pid, own_start())
        yield Services(workspace, store, Settings())
        assert is_alive(*(store.jobs.worker() or (0, 0.0)))


def cancelled(services: Services, visitor: Visitor) -> Job:
    job = services.store.jobs.submit("audit", {"model": "m"}, visitor.name)
    return services.store.jobs.cancel(job.job_id)


def test_an_auditor_resumes_the_own_audit_although_another_one_came_later(
    services: Services,
) -> None:
    own, other = cancelled(services, ANNA), cancelled(services, BEN)
    assert resume_own(services, ANNA).job_id == own.job_id
    assert services.store.jobs.get(own.job_id).status == "queued"
    assert services.store.jobs.get(other.job_id).status == "cancelled"
    watched = newest_job(services, KIND)
    assert watched is not None
    assert watched.job_id == own.job_id
    services.store.jobs.cancel(own.job_id)
    ended = newest_job(services, KIND)
    assert ended is not None
    assert ended.job_id == own.job_id


def test_without_an_own_unfinished_audit_there_is_nothing_to_resume(services: Services) -> None:
    cancelled(services, BEN)
    with pytest.raises(AuditError, match="you began no audit"):
        resume_own(services, ANNA)
    running = services.store.jobs.submit("audit", {"model": "m"}, ANNA.name)
    with pytest.raises(StoreError, match=f"job {running.job_id} is queued; only one that is"):
        resume_own(services, ANNA)
