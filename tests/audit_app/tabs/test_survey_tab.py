"""What the Survey tab's handlers show and refuse, and who gets a survey's files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.records import Job
from audit_app.accounts import add_account
from audit_app.errors import AuditError
from audit_app.jobs import own_start
from audit_app.reports.survey_routes import build_survey_routes
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.survey import run_survey, survey_folder
from audit_app.tabs.jobs import newest_job, resume_chosen, watch_job
from audit_app.tabs.survey import (
    HEADERS,
    KIND,
    NO_SURVEY,
    begin_survey,
    show_survey,
    show_surveys,
)
from tests.audit_app.small_study import Study, make_study
from tests.audit_app.test_survey import CHOICES, HEART, LayeredModel

AUDITOR = Visitor("anna", "auditor")
PARAMS = {"model": "tiny", "mode": "zs", "methods": ["gradcam"]}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = make_study(tmp_path)
    made.read(made.add_image("film", "Doe"), "R1", {"Cardiomegaly": [HEART]})
    yield made
    made.store.close()


@pytest.fixture
def services(study: Study) -> Services:
    return Services(study.workspace, study.store, Settings())


def stopped_job(services: Services, cells: int) -> Job:
    """A job of which so many cells are finished, and that was cancelled then."""
    jobs = services.store.jobs
    job = jobs.submit("survey", {**PARAMS, "methods": list(CHOICES.methods)}, "anna")
    jobs.claim(["survey"], 1, 1.0)
    run_survey(
        services.workspace,
        services.store,
        LayeredModel(),
        CHOICES,
        out=survey_folder(services.workspace, job.job_id),
        progress=lambda done, *_: done >= cells,
    )
    return jobs.finish(job.job_id, "cancelled", {}, "what was finished is kept")


def test_a_survey_without_model_mode_or_method_is_refused(services: Services) -> None:
    with pytest.raises(AuditError, match="no model was chosen"):
        begin_survey(services, AUDITOR, None, "zs", ["gradcam"])
    with pytest.raises(AuditError, match="no mode of tiny was chosen"):
        begin_survey(services, AUDITOR, "tiny", None, ["gradcam"])
    with pytest.raises(AuditError, match="no method was chosen"):
        begin_survey(services, AUDITOR, "tiny", "zs", [])
    assert services.store.jobs.recent(kinds=["survey"]) == []


def test_a_workspace_without_a_survey_says_what_one_is(services: Services) -> None:
    choice, headline, links, grid, table = show_surveys(services, None)
    assert headline == NO_SURVEY
    assert (links, grid) == ("", "")
    assert not table.visible
    assert not choice.visible


def test_a_stopped_survey_shows_its_finished_cells_and_files(services: Services) -> None:
    job = stopped_job(services, 2)
    headline, links, grid, table = show_survey(services, str(job.job_id))
    assert "2 of 12 cells finished" in headline
    assert re.findall(r'href="([^"]+)"', links) == [
        f"/audit/surveys/{job.job_id}/{name}"
        for name in ("survey.csv", "survey.json", "survey.svg")
    ]
    assert grid.count("data-cell=") == 2
    rows = table.value["data"]
    assert [row[:3] for row in rows] == [
        ["Grad-CAM", "Block 1 of 3", "12 x 12"],
        ["Grad-CAM", "Block 2 of 3", "12 x 12"],
    ]
    assert all(len(row) == len(HEADERS) for row in rows)


def test_only_a_stopped_survey_can_be_resumed(services: Services) -> None:
    with pytest.raises(AuditError, match="no survey was chosen"):
        resume_chosen(services, KIND, None)
    job = services.store.jobs.submit("survey", PARAMS, "anna")
    with pytest.raises(AuditError, match="this survey is queued"):
        resume_chosen(services, KIND, str(job.job_id))


def test_a_killed_workers_survey_is_noticed_and_polling_ends(services: Services) -> None:
    job = services.store.jobs.submit("survey", PARAMS, "anna")
    services.store.jobs.claim(["survey"], 2**22 + 1, 1.0)  # no process has this number
    status, timer = watch_job(services, KIND)
    assert "interrupted" in status
    assert not timer.active
    assert services.store.jobs.get(job.job_id).status == "interrupted"


def test_the_survey_under_way_is_watched_before_a_newer_finished_one(services: Services) -> None:
    import os

    jobs = services.store.jobs
    first = jobs.submit("survey", PARAMS, "anna")
    second = jobs.submit("survey", PARAMS, "anna")
    jobs.cancel(second.job_id)
    jobs.claim(["survey"], os.getpid(), own_start())
    shown = newest_job(services, KIND)
    assert shown is not None
    assert shown.job_id == first.job_id
    status, timer = watch_job(services, KIND)
    assert "running" in status
    assert timer.active


def test_files_are_given_to_auditors_only_and_each_download_is_logged(services: Services) -> None:
    add_account(services.store, "anna", "auditor", "a long enough password")
    add_account(services.store, "rosa", "reader", "a long enough password")
    job = stopped_job(services, 2)
    app = Starlette(routes=build_survey_routes(services))
    # What Gradio's application has; session.py is tested with the real one.
    app.cookie_id = "test"  # type: ignore[attr-defined]
    app.tokens = {"token-anna": "anna", "token-rosa": "rosa"}  # type: ignore[attr-defined]
    path = f"/audit/surveys/{job.job_id}/survey.csv"
    with TestClient(app) as client:
        assert client.get(path).status_code == 401
        client.cookies.set("access-token-test", "token-rosa")
        assert client.get(path).status_code == 403
        client.cookies.set("access-token-test", "token-anna")
        answer = client.get(path)
        stored = survey_folder(services.workspace, job.job_id) / "survey.csv"
        assert (answer.status_code, answer.content) == (200, stored.read_bytes())
        assert client.get(f"/audit/surveys/{job.job_id}/cells").status_code == 404
        assert client.get("/audit/surveys/99/survey.csv").status_code == 404
        assert client.get("/audit/surveys/x/survey.csv").status_code == 404
    logged = [row for row in services.store.log.rows(limit=100) if row.kind == "download"]
    assert len(logged) == 1
