"""The Audit tab: what is asked for, whose audit goes on, what a run shows, who gets its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import psutil
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.errors import StoreError
from annotations.records import Job
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.accounts import add_account
from audit_app.audit_job import run_folder
from audit_app.audit_result import AuditResult, summary_of
from audit_app.errors import AuditError
from audit_app.jobs import is_alive, own_start
from audit_app.reports.routes import build_report_routes
from audit_app.reports.summary import MACRO
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.tabs.audit import known_cell, resume_own, rows_of
from audit_app.tabs.audit_form import KIND, LAST, WITHOUT, AuditValues
from audit_app.tabs.audit_rows import ANY, selection_of_row
from audit_app.tabs.audit_view import build_view, show_run
from audit_app.tabs.jobs import newest_job
from tests.audit_app.reports.made_audit import CHOICES, FINDINGS, made_audit

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


@pytest.fixture
def run_id(services: Services) -> str:
    """A finished audit of a picture named as its patient might be."""
    return keep_run(services, made_audit())


def keep_run(services: Services, audit: AuditResult) -> str:
    run = services.store.audits.create("anna", CHOICES.to_dict())
    services.store.audits.add_rows(run.run_id, audit.rows)
    services.store.audits.finish(run.run_id, "done", {**summary_of(audit), "files": []})
    return run.run_id


def shown(services: Services, run_id: str | None) -> dict[str, Any]:
    """What the components of the view get, by their name."""
    with gr.Blocks():
        view = build_view()
    updates = show_run(services, run_id, "hit")
    names = {id(getattr(view, field.name)): field.name for field in fields(view)}
    names |= {id(chart): f"chart_{number}" for number, chart in enumerate(view.charts)}
    return {names[id(one)]: update for one, update in zip(view.shown, updates, strict=True)}


def test_a_run_is_shown_with_its_first_line_table_charts_and_rows(
    services: Services, run_id: str
) -> None:
    view = shown(services, run_id)
    assert "more often than chance" in view["headline"]
    assert view["part"].choices == [("tiny, Grad-CAM", '["tiny", "gradcam"]')]
    assert view["grid"].count("<button") == 2 * 4  # two findings, macro, all regions
    charts = [view[f"chart_{number}"] for number in range(5)]
    assert all(chart.visible and chart.value is not None for chart in charts)
    assert len(view["rows"].value["data"]) == 48
    assert view["worst"].value["data"][0][8] == 0
    assert "a random map" in view["controls"]
    assert "CLAIM 2024" in view["method"]


def test_a_workspace_without_an_audit_says_what_one_is(services: Services) -> None:
    view = shown(services, None)
    assert view["headline"].startswith("**No audit yet.**")
    assert not view["part"].visible
    assert (view["grid"], view["chart_0"].visible) == ("", False)


def test_a_failed_run_shows_its_reason(services: Services) -> None:
    run = services.store.audits.create("anna", CHOICES.to_dict())
    services.store.audits.finish(run.run_id, "failed", {"reason": "the disk is full"})
    assert shown(services, run.run_id)["headline"] == "This audit is failed. the disk is full"


def test_rows_are_filtered_and_keep_their_number(services: Services, run_id: str) -> None:
    update = rows_of(services, run_id, FINDINGS[1], "lp", "ok")
    rows = update.value["data"]
    assert {(row[3], row[5]) for row in rows} == {(FINDINGS[1], "Linear probe")}
    assert [row[0] for row in rows[:2]] == [4, 8]
    selection = selection_of_row(services, run_id, rows[1])
    assert (selection.image_id, selection.finding) == ("image003", FINDINGS[1])


def test_a_click_on_the_table_is_believed_only_for_cells_that_it_has(
    services: Services, run_id: str
) -> None:
    assert known_cell(services, run_id, FINDINGS[0], "zs") == (FINDINGS[0], "zs")
    assert known_cell(services, run_id, MACRO, "lp") == (ANY, "lp")
    for data in ((FINDINGS[0], "ft"), (None, None), (["x"], {}), ("<b>", "zs")):
        with pytest.raises(AuditError, match="not of the audit that is shown"):
            known_cell(services, run_id, *data)


@pytest.mark.parametrize("cells", [[], ["x"], ["0"], [99], ["-1"], [None]])
def test_a_row_that_the_audit_does_not_have_is_refused(
    services: Services, run_id: str, cells: list[object]
) -> None:
    with pytest.raises(AuditError, match="not in the audit any more"):
        selection_of_row(services, run_id, cells)


VALUES: dict[str, Any] = {
    "model": "tiny", "modes": ["lp", "zs"], "further_models": ["tiny", "other"],
    "methods": ["gradcam"], "findings": [], "readers": ["mira"], "reference": "consensus",
    "commits": LAST, "grid": "original", "threshold": 0.4, "seed": 7, "controls": [],
    "reliance": WITHOUT,
}  # fmt: skip


def test_the_form_becomes_the_parameters_of_a_job() -> None:
    assert AuditValues(**VALUES).params() == {
        "model": "tiny", "modes": ["zs", "lp"], "further_models": ["other"],
        "methods": ["gradcam"], "findings": None, "readers": ["mira"], "reference": "consensus",
        "latest": True, "grid": "original", "threshold": 0.4, "seed": 7, "controls": [],
        "reliance": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "no model was chosen"),
        ({"modes": []}, "no mode was chosen"),
        ({"methods": []}, "no saliency method given"),
        ({"threshold": None}, "threshold is None"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"seed": 1.5}, "a whole number"),
        ({"reference": "oracle"}, "unknown reference 'oracle'"),
        ({"controls": ["none"], "reliance": "paint"}, "unknown fill"),
    ],
)
def test_choices_that_no_audit_can_be_made_of_are_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(AuditError, match=message):
        AuditValues(**(VALUES | change)).params()


def test_files_are_sent_to_auditors_only_and_none_but_the_runs_own(services: Services) -> None:
    add_account(services.store, "anna", "auditor", "a long enough password")
    add_account(services.store, "rosa", "reader", "a long enough password")
    run = services.store.audits.create("anna", CHOICES.to_dict())
    folder = run_folder(services.workspace, run.run_id)
    (folder / "charts").mkdir(parents=True)
    names = ["report.html", "charts/tiny-hit_rate.svg", "summary.csv"]
    for name in names:
        (folder / name).write_text(name)
    (folder / "secret.csv").write_text("not listed")
    services.store.audits.finish(run.run_id, "done", {"files": names})
    app = Starlette(routes=build_report_routes(services))
    # What Gradio's application has; session.py is tested with the real one.
    app.cookie_id = "test"  # type: ignore[attr-defined]
    app.tokens = {"token-anna": "anna", "token-rosa": "rosa"}  # type: ignore[attr-defined]
    path = f"/audit/runs/{run.run_id}"
    with TestClient(app) as client:
        assert client.get(f"{path}/summary.csv").status_code == 401
        client.cookies.set("access-token-test", "token-rosa")
        assert client.get(f"{path}/summary.csv").status_code == 403
        client.cookies.set("access-token-test", "token-anna")
        for name in names:
            answer = client.get(f"{path}/{name}")
            assert (answer.status_code, answer.text) == (200, name)
            assert answer.headers["content-disposition"].startswith("attachment")
        for other in ("secret.csv", "..%2f..%2faudit.sqlite", "charts/../secret.csv", "charts"):
            assert client.get(f"{path}/{other}").status_code == 404
        assert client.get("/audit/runs/none/summary.csv").status_code == 404
    assert sum(row.kind == "download" for row in services.store.log.rows(limit=100)) == 3
