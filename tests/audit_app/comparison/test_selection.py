"""What the page may ask for: ids and names, and nothing else."""

from __future__ import annotations

import pytest

from audit_app.comparison import Look, Selection, Side
from audit_app.comparison.prompts import clean_text
from audit_app.comparison.selection import is_outrun, parse_look
from audit_app.errors import AuditError
from audit_app.session import Visitor
from audit_app.tabs.compare import end_job, known, parse_selection
from audit_app.viewer.prompt_route import parse_question


def test_what_the_page_does_not_name_stays_as_it_was() -> None:
    before = Look(view="pair", mode="lp", left=Side("a", "zs"), right=Side("b", "ft"), serial=3)
    look = parse_look({"right": {"model": "c", "mode": "lp"}, "serial": 4}, before)
    assert look == Look("pair", "lp", "auto", Side("a", "zs"), Side("c", "lp"), 4)
    assert parse_look({}, before) == before
    assert parse_look({"layer": ""}, Look(layer="visual.layer4")).layer == "auto"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"view": "everything"}, "no view 'everything'"),
        ({"mode": "xx"}, "no mode 'xx'"),
        ({"left": {"model": "a", "mode": "xx"}}, "no mode 'xx'"),
        ({"left": "a"}, "unusable left"),
        ({"layer": ["x"]}, "unusable layer"),
        ({"layer": "x" * 301}, "unusable layer"),
        ({"serial": "4"}, "number of its choice"),
        ({"serial": True}, "number of its choice"),
    ],
)
def test_what_is_no_choice_is_refused_by_name(data, message) -> None:
    with pytest.raises(AuditError, match=message):
        parse_look(data, Look())


def test_a_selection_needs_all_four_choices() -> None:
    assert parse_selection("i|mira", "Edema", "m", "gradcam") == Selection(
        "i", "mira", "Edema", "m", "gradcam"
    )
    assert parse_selection("i|mira", "Edema", None, "gradcam") is None
    # A reader's name may hold the sign that separates it from the image.
    chosen = parse_selection("i|a|b", "Edema", "m", "gradcam")
    assert chosen is not None
    assert chosen.reader == "a|b"


def test_an_unknown_finding_from_the_page_is_refused() -> None:
    assert known(None, ("Edema",), "Edema", "finding") == "Edema"
    assert known("Edema", ("Edema",), None, "finding") == "Edema"
    with pytest.raises(AuditError, match="no finding 'Oedema'"):
        known("Oedema", ("Edema",), "Edema", "finding")


def test_words_are_one_line_without_invisible_signs() -> None:
    assert clean_text("  fluid\n at\tthe\u200b base ") == "fluid at the base"
    for nothing in ("", " \n\u200b", None, 7):
        with pytest.raises(AuditError, match="type the words"):
            clean_text(nothing)
    with pytest.raises(AuditError, match="the text has 301 signs"):
        clean_text("x" * 301)


def test_only_a_choice_older_than_the_answered_one_is_outrun() -> None:
    before = Look(serial=3)
    outrun = [is_outrun(data, before) for data in ({"serial": 2}, {"serial": 3}, {"serial": 4}, {})]
    assert outrun == [True, False, False, False]


def test_a_question_that_lacks_a_text_is_refused() -> None:
    full = {"reader": "mira", "finding": "Edema", "model": "m", "method": "hirescam"}
    full |= {"text": " a  b "}
    assert parse_question("i", full).text == "a b"
    for name in full:
        with pytest.raises(AuditError, match="reader, finding, model, method, text"):
            parse_question("i", {**full, name: None})
    with pytest.raises(AuditError, match="reader, finding, model, method, text"):
        parse_question("i", ["text"])


def test_a_page_ends_only_jobs_of_its_own_visitor(services) -> None:
    jobs = services.store.jobs
    mine, other = (jobs.submit("explain", {}, owner).job_id for owner in ("mira", "tom"))
    for job_id in (mine, other, None, 99):  # the last one was forgotten
        end_job(services, Visitor("mira", "reader"), job_id)
    assert [jobs.get(one).status for one in (mine, other)] == ["cancelled", "queued"]
