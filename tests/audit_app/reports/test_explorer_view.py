"""The explorer's figure and numbers, of a finished evaluation that was written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_app.errors import AuditError
from audit_app.evaluator.explorer import read_layout
from audit_app.evaluator.result import LAYOUT, load_result
from audit_app.reports.explorer_view import (
    ExplorerChoices,
    explorer_figure,
    explorer_note,
    separation_table,
)
from tests.audit_app.evaluator.finished_folder import IDS, write_finished


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = write_finished(tmp_path_factory.mktemp("finished") / "evaluation-1")
    return load_result(folder), read_layout(folder / LAYOUT)


def traces(figure: Any, axis: str) -> dict[str, list[list[str]]]:
    """Group to what its points say, in one of the maps."""
    return {
        trace.name: [list(told) for told in trace.customdata]
        for trace in figure.data
        if (trace.xaxis or "x") == axis
    }


def test_each_mode_has_its_own_map_of_all_pictures_on_common_axes(finished) -> None:
    figure = explorer_figure(*finished, ExplorerChoices())
    assert [note.text.partition("<br>")[0] for note in figure.layout.annotations] == [
        "Zero-shot", "Fine-tune",
    ]  # fmt: skip
    for axis in ("x", "x2"):
        told = [one for group in traces(figure, axis).values() for one in group]
        assert sorted(one[0] for one in told) == sorted(IDS)
    assert figure.layout.xaxis2.matches == "x"
    assert figure.layout.yaxis2.matches == "y"


def test_points_stand_where_the_layout_has_them(finished) -> None:
    result, layout = finished
    figure = explorer_figure(result, layout, ExplorerChoices())
    for axis, tower in (("x", "frozen"), ("x2", "ft")):
        found = {
            told[0]: (x, y)
            for trace in figure.data
            if (trace.xaxis or "x") == axis
            for told, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
        }
        np.testing.assert_allclose([found[one] for one in IDS], layout.places["PCA"][tower])


def test_a_point_says_its_labels_and_what_its_mode_predicts(finished) -> None:
    figure = explorer_figure(*finished, ExplorerChoices(colouring="decision", finding="Edema"))
    assert traces(figure, "x") == {
        "predicted and true": [
            ["picture-0", "Edema", "Edema"],
            ["picture-5", "Edema, No Finding", "Edema, No Finding"],
        ],
        "missed": [["picture-1", "Edema", "none"]],
        "predicted, not true": [["picture-2", "No Finding", "Edema, No Finding"]],
        "neither": [["picture-3", "No Finding", "No Finding"], ["picture-4", "none", "none"]],
    }
    assert set(traces(figure, "x2")) == {"predicted and true", "neither"}


def test_a_group_has_one_look_and_stands_once_in_the_legend(finished) -> None:
    figure = explorer_figure(*finished, ExplorerChoices(colouring="decision", finding="Edema"))
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == sorted({trace.name for trace in figure.data})
    looks = {(t.name, t.marker.color, t.marker.symbol, t.legendrank) for t in figure.data}
    assert len(looks) == len(shown)
    assert len({(colour, symbol) for _, colour, symbol, _ in looks}) == len(shown)


def test_neither_names_nor_paths_go_into_the_page(finished) -> None:
    text = explorer_figure(*finished, ExplorerChoices()).to_json()
    assert '"p0"' not in text
    assert str(finished[0].folder) not in text


def test_the_numbers_are_those_of_the_whole_embeddings(finished) -> None:
    table = separation_table(finished[0])
    assert table.count("<tr") == 1 + 2 + 2
    assert "<td>Fine-tune</td><td>study formula</td><td>3.500</td><td>2.000</td>" in table
    grey = "study formula, labels shuffled</td><td>1.120</td><td>2.000</td><td>0.560</td>"
    assert f'<tr class="null"><td>no information: Zero-shot</td><td>{grey}' in table
    assert "0.500 to 0.625" in table


def test_a_map_that_was_not_made_is_refused_with_the_reason(finished) -> None:
    result, layout = finished
    assert "6 test pictures are too few" in explorer_note(layout)
    with pytest.raises(AuditError, match=r"no map by UMAP: .* 6 test pictures are too few"):
        explorer_figure(result, layout, ExplorerChoices(projection="UMAP"))
    with pytest.raises(AuditError, match="no map by t-SNE: it has PCA"):
        explorer_figure(result, layout, ExplorerChoices(projection="t-SNE"))


def test_files_of_two_evaluations_are_not_mixed(tmp_path: Path) -> None:
    folder = write_finished(tmp_path / "mixed", (*IDS[:5], "another"))
    with pytest.raises(AuditError, match="1 pictures of the map have no predictions"):
        explorer_figure(load_result(folder), read_layout(folder / LAYOUT), ExplorerChoices())
