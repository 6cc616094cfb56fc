"""What the explorer's handlers give the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.errors import AuditError
from audit_app.evaluator.job import evaluation_folder
from audit_app.services import Services
from audit_app.settings import Settings
from audit_app.tabs.explorer import (
    NOTHING,
    PLOT_ID,
    draw,
    fill_explorer,
    open_evaluation,
    parse_choices,
)
from tests.audit_app.evaluator.finished_folder import write_finished


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = create_workspace(tmp_path / "w", name="W", findings=("Edema", "No Finding"))
    with Store.open(workspace) as store:
        yield Services(workspace, store, Settings())


def test_before_the_first_evaluation_it_says_so(services: Services) -> None:
    for chosen in (None, "", "7", "../7"):
        filled = fill_explorer(services, chosen, parse_choices(None, None, None, None))
        assert filled[4] == NOTHING
        assert filled[2:4] == ["", None]
        with pytest.raises(AuditError, match="not finished; choose one that is done"):
            draw(services, chosen, parse_choices(None, None, None, None))


def test_an_evaluation_brings_its_own_choices(services: Services) -> None:
    write_finished(evaluation_folder(services.workspace, 3))
    asked = parse_choices("UMAP", "finding", "Fracture", "recommended")
    projection, preset, numbers, panel, note, figure, findings = fill_explorer(services, "3", asked)
    assert (projection.choices, projection.value) == ([("PCA", "PCA")], "PCA")
    assert (preset.choices, preset.value) == ([("Study", "study")], "study")
    assert [value for _, value in findings.choices] == ["", "Edema", "No Finding"]
    assert findings.value == ""
    assert panel == {"plot": PLOT_ID}
    assert "explorer-separation" in numbers
    assert note.startswith("6 test pictures.")
    assert {trace.name for trace in figure.data} == {"Edema", "No Finding", "no positive label"}


def test_a_finding_is_asked_only_where_it_decides_something(services: Services) -> None:
    write_finished(evaluation_folder(services.workspace, 3))
    *_, figure, findings = draw(services, "3", parse_choices("PCA", "finding", "Edema", "study"))
    assert {trace.name for trace in figure.data} == {"Edema", "no Edema"}
    assert (findings.value, findings.interactive) == ("Edema", True)
    *_, figure, findings = draw(services, "3", parse_choices("PCA", "normal", "Edema", "study"))
    assert (findings.value, findings.interactive) == ("", False)
    assert {trace.name for trace in figure.data} == {"normal", "abnormal", "no positive label"}


def test_an_evaluation_is_read_once_until_it_is_written_again(services: Services) -> None:
    folder = write_finished(evaluation_folder(services.workspace, 3))
    first = open_evaluation(services, "3")
    assert open_evaluation(services, "3") is first
    write_finished(folder)
    assert open_evaluation(services, "3") is not first
