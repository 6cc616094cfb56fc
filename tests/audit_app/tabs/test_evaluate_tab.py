"""What the Evaluate tab's handlers show and refuse, and who gets an evaluation's files."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from annotations.records import Edit, Job, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.accounts import add_account
from audit_app.errors import AuditError
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.job import JOB_KIND, evaluation_folder
from audit_app.evaluator.page import FIFTEEN_MARK
from audit_app.evaluator.progress import EvaluationProgress, progress_file
from audit_app.evaluator.result import FILES, MAPS_OF_15
from audit_app.job_kinds import JOB_KINDS, JobContext
from audit_app.jobs import own_start
from audit_app.reports.evaluation_routes import DOWNLOADS, build_evaluation_routes
from audit_app.reports.evaluation_view import draw_progress, duration
from audit_app.services import Services
from audit_app.session import AccessRefused, Visitor
from audit_app.settings import Settings
from audit_app.tabs.evaluate import (
    NO_EVALUATION,
    NO_TABLES,
    fill_evaluate,
    mode_choices,
    poll_evaluation,
    show_evaluation,
    show_evaluations,
    watch_evaluation,
)
from audit_app.tabs.evaluate_form import OWN_SPLIT, EvaluationForm, begin_evaluation
from audit_app.tabs.fifteen import (
    fill_fifteen,
    first_of_project,
    make_project,
    maps_of,
)
from tests.audit_app.evaluator.labelled_set import MODEL, SOURCE, make_labelled_set

ADMIN = Visitor("anna", "admin")
AUDITOR = Visitor("otto", "auditor")
QUICK = {"model": MODEL, "modes": ["zs", "lp"], "presets": ["study"], "epochs": 1,
         "replicates": 20, "permutations": 10, "null_draws": 5}  # fmt: skip


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With one finished evaluation, job 1, of 24 pictures of which four are tested."""
    workspace = make_labelled_set(tmp_path_factory.mktemp("ward"), 24)
    with Store.open(workspace) as store:
        store.jobs.submit(JOB_KIND, QUICK, "anna")
        job = store.jobs.claim(None, 1, 1.0)
        assert job is not None
        result = JOB_KINDS[JOB_KIND](JobContext(workspace, store, job, lambda *_: False))
        store.jobs.finish(job.job_id, "done", result, "")
    return workspace


@pytest.fixture
def done(ward: Workspace) -> Iterator[Services]:
    """The workspace with the finished evaluation; tests add readings to pictures of their own."""
    with Store.open(ward) as store:
        yield Services(ward, store, Settings())


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Services]:
    workspace = make_labelled_set(tmp_path, 3)
    with Store.open(workspace) as store:
        yield Services(workspace, store, Settings())


def form(**changes: object) -> EvaluationForm:
    values = {
        "model": MODEL, "labels": SOURCE, "split": OWN_SPLIT, "uncertain": "not positive",
        "epochs": "", "modes": ["zs", "lp"], "presets": ["recommended", "study"],
    }  # fmt: skip
    return EvaluationForm(**(values | changes))  # type: ignore[arg-type] # fields by name


def tell(services: Services, job: Job, **changes: object) -> EvaluationProgress:
    """Progress as the worker keeps it for pages."""
    values = {"stage": "fine-tune", "number": 4, "n_stages": 8} | changes
    progress_file(services.workspace, job.job_id).write_text(json.dumps(values), encoding="utf-8")
    return EvaluationProgress(**values)  # type: ignore[arg-type] # fields by name


def test_the_form_says_what_is_missing_or_out_of_range() -> None:
    for changes, said in (
        ({"model": None}, "no model was chosen"),
        ({"modes": []}, f"no mode of {MODEL} was chosen"),
        ({"presets": []}, "no preset was chosen"),
        ({"epochs": "ten"}, "epochs are 'ten'; expected a whole number"),
        ({"epochs": "0"}, "epochs is 0; expected at least 1"),
        ({"uncertain": "guess"}, "the rule for uncertain labels is 'guess'"),
    ):
        with pytest.raises(AuditError, match=said):
            form(**changes).params()


def test_the_form_becomes_the_choices_of_an_evaluation() -> None:
    given = EvaluationChoices.from_dict(form(epochs=" 3 ", split="17", labels=" ").params())
    assert (given.epochs, given.split, given.labels) == (3, "17", None)
    assert given.presets == ("study", "recommended")
    assert EvaluationChoices.from_dict(form().params()).split is None


def test_only_an_admin_may_name_a_file_of_this_machine(empty: Services) -> None:
    with pytest.raises(AccessRefused, match=r"'labels.csv' is a file of this machine"):
        begin_evaluation(empty, AUDITOR, form(labels="labels.csv"))
    with pytest.raises(AccessRefused, match=r"'split.csv' is a file"):
        begin_evaluation(empty, AUDITOR, form(split="split.csv"))
    assert empty.store.jobs.recent(kinds=[JOB_KIND]) == []


def test_a_workspace_without_an_evaluation_says_what_one_is(empty: Services) -> None:
    choice, headline, links, report, *places = show_evaluations(empty, None)
    assert headline == NO_EVALUATION
    assert (links, report) == ("", "")
    assert not choice.visible
    assert [place.visible for place in places] == [False, False]
    filled = fill_evaluate(empty, None)
    assert (filled[0].value, filled[1].value) == (MODEL, SOURCE)
    assert filled[2].value == ["zs", "lp", "ft"]
    assert mode_choices(empty, None).value == []


def test_a_finished_evaluation_shows_its_report_without_the_maps_of_the_15(done: Services) -> None:
    choice, headline, links, report, *places = show_evaluations(done, None)
    assert (choice.value, headline) == ("1", "")
    assert choice.choices[0][0].endswith("| demo-cnn | Zero-shot, Linear probe | study | done")
    stored = (evaluation_folder(done.workspace, 1) / "report.html").read_text(encoding="utf-8")
    assert stored.count(FIFTEEN_MARK) == 2
    assert "data:image" in stored
    assert "data:image" not in report
    assert "<h2>Study preset: as in the published table</h2>" in report
    assert "<h2>How it was made</h2>" in report
    assert "<style" not in report
    assert [place.visible for place in places] == [True, True]
    assert re.findall(r">Download ([^<]+)<", links) == list(DOWNLOADS)
    assert {MAPS_OF_15, "figure_15.png"} == set(FILES) - set(DOWNLOADS)


def test_an_unfinished_or_damaged_evaluation_leaves_the_tab_usable(done: Services) -> None:
    jobs = done.store.jobs
    waiting = jobs.submit(JOB_KIND, QUICK, "anna")
    assert show_evaluation(done, str(waiting.job_id))[0] == NO_TABLES
    folder = evaluation_folder(done.workspace, waiting.job_id)
    folder.mkdir()
    (folder / "provenance.json").write_text("{}", encoding="utf-8")
    headline, links, report, *_ = show_evaluation(done, str(waiting.job_id))
    assert "is no finished evaluation: it lacks three_modes.csv" in html.unescape(headline)
    assert str(done.workspace.root) not in headline
    assert (links, report) == ("", "")
    jobs.cancel(waiting.job_id)


def test_a_running_evaluation_is_watched_and_its_table_is_not_read_again(empty: Services) -> None:
    job = empty.store.jobs.submit(JOB_KIND, QUICK, "anna")
    empty.store.jobs.claim([JOB_KIND], os.getpid(), own_start())
    losses = {"train_losses": [0.7, 0.61], "validation_losses": [0.8, 0.75]}
    speed = {"done": 30, "total": 90, "images_per_s": 12.34, "eta_s": 200}
    tell(empty, job, epoch=2, epochs=9, **losses, **speed, finished_stages=["encode pictures"])
    status, timer, drawn, choice, *rest = poll_evaluation(empty, str(job.job_id))
    assert status == "evaluate running"
    assert timer.active
    for fact in ("fine-tune (4 of 8)", "2 of 9", "0.6100 train", "0.7500", "30 of 90",
                 "12.3 images/s", "about 3 min", "encode pictures"):  # fmt: skip
        assert fact in drawn
    assert 'value="0.3333"' in drawn
    assert drawn.count("<polyline") == 2
    assert choice.choices[0][0].endswith("running")
    assert all(one == {"__type__": "update"} for one in rest)


def test_what_was_done_stays_to_be_seen_after_a_cancel_and_after_a_kill(empty: Services) -> None:
    jobs = empty.store.jobs
    job = jobs.submit(JOB_KIND, QUICK, "anna")
    jobs.claim([JOB_KIND], 2**22 + 1, 1.0)  # no process has this number
    tell(empty, job, eta_s=60, finished_stages=["encode pictures", "zero-shot scores"])
    status, timer, drawn = watch_evaluation(empty)
    assert "interrupted" in status
    assert not timer.active
    assert "encode pictures, zero-shot scores" in drawn
    assert "Left of this stage" not in drawn
    jobs.resume(job.job_id)
    jobs.cancel(job.job_id)
    status, timer, drawn = watch_evaluation(empty)
    assert status.startswith("evaluate cancelled")
    assert "zero-shot scores" in drawn


def test_a_stage_of_unknown_length_has_a_bar_without_a_value_and_names_are_escaped() -> None:
    drawn = draw_progress(EvaluationProgress("<b>read</b>", 1, 8))
    assert '<progress max="1" aria-label=\'' not in drawn
    assert "value=" not in drawn
    assert "<b>" not in drawn
    assert "no stage yet" in drawn
    assert [duration(seconds) for seconds in (89, 91, 5399, 9000)] == [
        "89 s", "2 min", "90 min", "2.5 h",
    ]  # fmt: skip


def test_maps_of_pictures_that_the_visitor_has_not_read_are_shown_on_request_only(
    done: Services,
) -> None:
    visitor = Visitor("vera", "auditor")
    maps = maps_of(done, "1")
    assert maps is not None
    readings = done.store.readings
    draft, committed = maps.image_ids[:2]
    region = Region("r1", "Fracture", "definite", Box(5, 5, 50, 50))
    readings.import_committed(committed, visitor.name, "person", [region], False)
    readings.apply(Edit("client", 1, draft, 0, "put", region=region), visitor.name)

    note, figure = fill_fifteen(done, visitor, "1", unread=False)
    assert f"1 of {len(maps.image_ids)} are shown with their maps" in note
    assert 'src="data:image/jpeg;base64,' in figure
    assert "film-" not in figure
    assert readings.get(committed, visitor.name).revealed_at is not None
    note, _ = fill_fifteen(done, visitor, "1", unread=True)
    # The draft stays locked: only a commit opens it.
    assert f"{len(maps.image_ids) - 1} of {len(maps.image_ids)} are shown" in note
    assert readings.get(draft, visitor.name).revealed_at is None
    # Who saw the maps before reading is not blinded on that picture any more.
    seen = maps.image_ids[2]
    readings.apply(Edit("client", 2, seen, 0, "no_finding", no_finding=True), visitor.name)
    readings.commit(seen, visitor.name, base_version=1)
    assert [one.blinded for one in readings.of_image(seen)] == [False]
    logged = [row for row in done.store.log.rows(limit=100) if row.kind == "figure of the 15"]
    assert len(logged) == 2


def test_the_15_become_a_project_that_narrows_the_worklist(done: Services) -> None:
    visitor = Visitor("paul", "admin")
    images, labels = done.store.images, done.store.labels
    maps = maps_of(done, "1")
    assert maps is not None
    assert labels.projects() == []
    name = make_project(done, visitor, "1")
    assert make_project(done, visitor, "1") == name == "15 of evaluation 1"
    assert labels.projects() == [name]
    assert labels.sources() == [SOURCE]
    page = images.worklist(visitor.name, project=name)
    assert {row.image_id for row in page.rows} == set(maps.image_ids)
    assert page.n_matching == len(maps.image_ids) < page.n_images
    first = page.rows[0].image_id
    assert first_of_project(done, visitor, name) == first
    done.store.readings.import_committed(first, visitor.name, "person", [], True)
    assert first_of_project(done, visitor, name) == page.rows[1].image_id
    logged = [row for row in done.store.log.rows(limit=200) if row.kind == "reading project"]
    assert len(logged) == 1


def test_an_unfinished_evaluation_has_no_15(empty: Services) -> None:
    assert fill_fifteen(empty, ADMIN, "7", unread=False) == [
        "There is no finished evaluation yet.", "",
    ]  # fmt: skip
    with pytest.raises(AuditError, match="this evaluation is not finished"):
        make_project(empty, ADMIN, None)


def test_files_are_given_to_auditors_only_and_each_download_is_logged(done: Services) -> None:
    add_account(done.store, "otto", "auditor", "a long enough password")
    add_account(done.store, "rosa", "reader", "a long enough password")
    app = Starlette(routes=build_evaluation_routes(done))
    # What Gradio's application has; session.py is tested with the real one.
    app.cookie_id = "test"  # type: ignore[attr-defined]
    app.tokens = {"token-otto": "otto", "token-rosa": "rosa"}  # type: ignore[attr-defined]
    stored = evaluation_folder(done.workspace, 1)
    with TestClient(app) as client:
        assert client.get("/audit/evaluations/1/predictions.csv").status_code == 401
        client.cookies.set("access-token-test", "token-rosa")
        assert client.get("/audit/evaluations/1/predictions.csv").status_code == 403
        client.cookies.set("access-token-test", "token-otto")
        for name in DOWNLOADS:
            answer = client.get(f"/audit/evaluations/1/{name}")
            assert (answer.status_code, answer.content) == (200, (stored / name).read_bytes())
            assert f"evaluation-1-{name}" in answer.headers["content-disposition"]
        for path in (f"1/{MAPS_OF_15}", "1/figure_15.png", "1/workspace.key", "99/predictions.csv"):
            assert client.get(f"/audit/evaluations/{path}").status_code == 404
    logged = [row for row in done.store.log.rows(limit=200) if row.kind == "download"]
    assert len(logged) == len(DOWNLOADS)
