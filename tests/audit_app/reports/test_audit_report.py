"""report.html and report.pdf: whole, repeatable, without network, without markup from outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit_app.audit_result import AuditResult
from audit_app.reports.audit_content import sections_of, sentences_of
from audit_app.reports.audit_report import page_of, write_report
from audit_app.reports.chart_print import Drawing, draw_print
from tests.audit_app.reports.made_audit import FINDINGS, made_audit, made_rows

LEAK = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def audit() -> AuditResult:
    rows = made_rows(12)
    for row in rows:
        row["reader"] = LEAK
    return made_audit(rows, workspace=LEAK, command=LEAK, synthetic=True, run_id="4711")


@pytest.fixture(scope="module")
def folder(audit: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    names = write_report(out, audit)
    assert sorted(names) == sorted(
        path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()
    )
    return out


def test_the_page_begins_with_the_first_line_and_holds_every_chart(
    folder: Path, audit: AuditResult
) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert f'<p class="first">{sentences_of(audit)[0]}</p>'.replace("'", "&#x27;") in text
    assert text.count("<svg") == 5
    assert "Synthetic pictures" in text
    assert ", 2026-01-02 03:04 UTC, run 4711; 24 patients, 24 images, 24 readings." in text
    for name in (*FINDINGS, "CLAIM 2024", "TRIPOD+AI", "METRICS", "Worst disagreements"):
        assert name in text


def test_the_page_asks_for_nothing_and_runs_nothing(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert LEAK not in text
    assert "<script" not in text
    addresses = set(re.findall(r"""<[^>]*(?:src|href)\s*=\s*["']?([^"'\s>]+)""", text))
    assert {one for one in addresses if not one.startswith(("#", "data:"))} == set()


def test_the_same_audit_gives_the_same_page_and_drawings(folder: Path, audit: AuditResult) -> None:
    sections = sections_of(audit)
    names = {one.name: sections[0].chart_name(one) for one in sections[0].charts}
    again = draw_print(sections[0].charts[3])
    assert (folder / f"{names['peak_position']}.png").read_bytes() == again.png
    assert (folder / f"{names['peak_position']}.svg").read_text(encoding="utf-8") == again.svg
    drawn = {
        name: Drawing((folder / f"{name}.svg").read_text(encoding="utf-8"), b"")
        for name in names.values()
    }
    page = page_of(audit, sections, drawn)
    assert page == (folder / "report.html").read_text(encoding="utf-8")


def test_the_pdf_has_pages_and_its_title(folder: Path) -> None:
    content = (folder / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) >= 3
    assert "Audit of tiny".encode("utf-16-be") in content or b"Audit of tiny" in content


def test_names_that_are_wider_than_the_page_are_broken_and_no_reason_to_fail(
    tmp_path: Path,
) -> None:
    rows = made_rows(2)
    for row in rows:
        row |= {"model": "m" * 120, "reader": "r" * 120, "finding": "f" * 120}
    write_report(tmp_path, made_audit(rows))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "f" * 120 in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_audit_without_a_scored_row_is_reported_with_its_reasons(tmp_path: Path) -> None:
    rows = made_rows(2)
    for row in rows:
        row |= dict.fromkeys(("hit", "iou", "energy_in_box", "chance_hit", "prior_hit"))
        row |= {"status": "not_visible", "peak_x_px": None, "box_area_fraction": None}
    write_report(tmp_path, made_audit(rows, control_hit_rate=None, left_out=["randomcam"]))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No map could be scored" in text
    assert "Left out by choice: a random map" in text
    assert not re.search(r"\bnan\b", text, flags=re.IGNORECASE)
