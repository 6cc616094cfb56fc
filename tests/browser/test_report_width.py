"""Reports in a real Chromium: names of 120 letters break, and only tables scroll sideways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from annotations.store import Store
from audit_app.evaluator.choices import EvaluationChoices
from audit_app.evaluator.run import run_evaluation
from audit_app.models import make_runtime
from audit_app.reports.audit_report import write_report
from tests.audit_app.evaluator.labelled_set import FINDINGS, MODEL, make_labelled_set
from tests.audit_app.reports.made_audit import FINDINGS as AUDITED
from tests.audit_app.reports.made_audit import made_audit, made_rows

WIDTH = 1280
N_FILMS = 24
# Open what is folded; how wide the page is, and what of it stands beyond its right edge.
MEASURE = """() => {
  for (const one of document.querySelectorAll('details')) one.open = true;
  const { scrollWidth, clientWidth } = document.documentElement;
  const beyond = [...document.querySelectorAll('body *')]
    .filter((one) => !one.parentElement.closest('table, svg'))
    .filter((one) => one.getBoundingClientRect().right > clientWidth)
    .map((one) => one.outerHTML.slice(0, 80));
  return { scrollWidth, clientWidth, beyond };
}"""


def long_name(word: str) -> str:
    return (f"{word}_" * 120)[:120]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDTH, "height": 800})
    yield context.new_page()
    context.close()


def check_width(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    told = page.evaluate(MEASURE)
    assert told["beyond"] == []
    assert told["scrollWidth"] <= told["clientWidth"] == WIDTH


@pytest.mark.browser
def test_an_audits_report_with_names_of_120_letters_does_not_scroll_sideways(
    page: Page, tmp_path: Path
) -> None:
    model = long_name("model")
    rows = made_rows()
    for row in rows:
        row |= {"model": model, "reader": long_name("reader"), "source": long_name("source")}
        if row["finding"] == AUDITED[0]:
            row["finding"] = long_name(AUDITED[0])
    audit = made_audit(
        [*rows, *({**row, "model": long_name("other")} for row in rows)],
        workspace=long_name("ward"), warnings=[long_name("warning")], command=f"launch.py {model}",
    )  # fmt: skip
    write_report(tmp_path, audit)
    check_width(page, tmp_path / "report.html")
    wide = page.locator("table").filter(has_text="Distance (of diagonal)")
    assert wide.evaluate("(table) => table.scrollWidth > table.clientWidth")


@pytest.mark.browser
def test_an_evaluations_report_with_names_of_120_letters_does_not_scroll_sideways(
    page: Page, tmp_path: Path
) -> None:
    workspace = make_labelled_set(tmp_path, N_FILMS)
    choices = EvaluationChoices(
        MODEL, modes=("zs",), presets=("study",), replicates=20, permutations=20, null_draws=5
    )
    with Store.open(workspace) as store:
        runtime = make_runtime(workspace, store)
        result = run_evaluation(workspace, store, runtime, choices, out=tmp_path / "out")
    path = result.folder / "report.html"
    said = path.read_text(encoding="utf-8")
    for name in (MODEL, *FINDINGS):
        said = said.replace(name, long_name(name))
    path.write_text(said, encoding="utf-8")
    check_width(page, path)
