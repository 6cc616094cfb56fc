"""Tables of an audit: what is best and worst, what is counted, what disagrees most."""

from __future__ import annotations

import re

import pytest

from audit_app.reports.agreement_grid import grid_html, grid_table
from audit_app.reports.audit_part import Shown, shown_part
from audit_app.reports.audit_tables import (
    control_table,
    p_words,
    paired_table,
    reader_table,
    reliance_table,
    slice_table,
    status_table,
)
from audit_app.reports.html_parts import number
from audit_app.reports.worst import worst_rows
from tests.audit_app.reports.made_audit import FINDINGS, made_audit, made_rows


def shown_of(rows: list[dict[str, object]]) -> Shown:
    audit = made_audit(rows)
    return shown_part(audit.rows, audit.summary, model="tiny", method="gradcam")


def cells(html: str, finding: str) -> list[str]:
    line = next(part for part in html.split("<tr>") if part.startswith(f"<td>{finding}"))
    return re.findall(r"<td.*?</td>", line)


def test_the_best_mode_of_a_finding_is_blue_the_worst_red_with_counts_in_every_cell() -> None:
    rows = made_rows()
    for row in rows:
        row["hit"] = 1.0 if row["mode"] == "lp" else 0.5
    _, zero_shot, probe, chance, *_ = cells(grid_html(shown_of(rows), "hit"), FINDINGS[0])
    assert 'class="worst">0.50' in zero_shot
    assert 'class="best">1.00' in probe
    assert "(1.00 to 1.00)<br>n 12, 12 patients" in probe
    assert chance == "<td>0.12</td>"


def test_values_that_read_the_same_are_not_marked_apart() -> None:
    rows = made_rows()
    for row in rows:
        row["hit"] = 0.501 if row["mode"] == "lp" else 0.5
    assert 'class="best"' not in grid_html(shown_of(rows), "hit")


def test_under_ten_patients_the_number_stands_with_the_reason_for_no_interval() -> None:
    html = grid_html(shown_of(made_rows(8)), "hit")
    assert "(too few patients for an interval)<br>n 4, 4 patients" in html


def test_maps_without_evidence_and_lost_rows_are_counted_in_the_cell() -> None:
    rows = made_rows()
    rows[0] |= {"status": "no_evidence", "hit": 0.0, "iou": 0.0}
    rows[4] |= {"status": "not_visible", "hit": None, "iou": None}
    assert "1 empty, 1 not visible" in cells(grid_html(shown_of(rows), "hit"), FINDINGS[0])[1]


def test_cells_of_the_page_are_buttons_whose_names_are_escaped() -> None:
    rows = made_rows()
    for row in rows:
        row["finding"] = '"><script>'
    html = grid_html(shown_of(rows), "hit", is_clickable=True)
    assert "<script>" not in html
    assert 'data-finding="&quot;&gt;&lt;script&gt;" data-mode="zs"' in html


def test_the_texts_of_the_grid_are_those_of_its_cells() -> None:
    shown = shown_of(made_rows())
    table = grid_table(shown, "iou")
    assert table.head[:3] == ("Finding", "Zero-shot", "Linear probe")
    assert [line[0] for line in table.body] == list(shown.findings)
    assert all(len(line) == len(table.head) for line in table.body)
    html = grid_html(shown, "iou")
    assert [word for line in table.looks for word in line if word] == re.findall(
        r'<td class="(best|worst)">', html
    )
    assert "best" in html


def test_the_worst_rows_are_missed_ones_of_which_the_model_was_sure() -> None:
    rows = made_rows(12)
    rows[3] |= {"hit": 0.0, "iou": 0.0, "model_positive": True, "peak_distance_share": 0.9}
    rows[5] |= {"hit": 0.0, "iou": 0.0, "model_positive": True, "peak_distance_share": 0.1}
    rows[7] |= {"hit": 0.0, "iou": 0.0, "model_positive": False, "peak_distance_share": 0.9}
    rows[9] |= {"status": "not_visible", "hit": None, "iou": None, "peak_distance_share": None}
    worst = worst_rows(rows)
    assert worst[:2] == [rows[3], rows[5]]
    assert worst.index(rows[7]) > worst.index(rows[5])
    assert rows[9] not in worst


def test_every_status_is_counted_by_mode() -> None:
    rows = made_rows(4)
    rows[0]["status"] = "invalid_input"
    table = status_table(rows)
    counts = {line[0]: line[1:3] for line in table.body}
    assert counts["invalid_input"] == ("1", "0")
    assert counts["ok"] == ("3", "4")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (control_table, "control_summary"),
        (paired_table, "paired"),
        (slice_table, "slices"),
        (reliance_table, "reliance"),
    ],
)
def test_each_table_has_a_line_per_line_of_its_file_and_says_when_there_is_none(
    table: object, name: str
) -> None:
    lines = made_audit().table(name)
    made = table(lines)  # type: ignore[operator]
    assert len(made.body) == len(lines)
    assert all(len(line) == len(made.head) for line in made.body)
    empty = table([])  # type: ignore[operator]
    assert empty.as_html() == f"<p>{empty.empty}</p>"


def test_small_numbers_are_printed_without_a_minus_and_small_p_values_as_an_inequality() -> None:
    assert (number(-0.004, 2), number(-0.005001, 2), number(0.0), number(None)) == (
        "0.00", "-0.01", "0.000", "n/a",
    )  # fmt: skip
    assert [p_words(p) for p in (0.0, 0.00099, 0.001, None)] == [
        "<0.001", "<0.001", "0.001", "n/a",
    ]  # fmt: skip


def test_an_audit_of_the_store_that_counted_no_places_outside_the_lungs_is_still_shown() -> None:
    lines = [dict(line) for line in made_audit().reliance]
    for line in lines:
        del line["n_outside_lungs"]
    shown = reliance_table(lines)
    place = shown.head.index("Rows left out")
    assert {cells[place] for cells in shown.body} == {str(line["n_left_out"]) for line in lines}


def test_one_reader_is_said_to_have_nobody_to_agree_with() -> None:
    assert "One reader" in reader_table([]).as_html()
