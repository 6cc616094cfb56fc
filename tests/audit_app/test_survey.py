"""A survey on a real store with a tiny model: numbers by loops, cells kept, nothing decided."""

from __future__ import annotations

import csv
import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from annotations.store import Store
from annotations.workspace import open_workspace
from audit_app.audit_images import load_picture
from audit_app.errors import AuditError
from audit_app.reports.heat_grid import PRINT, SCREEN, colour_of, draw_heat_grid, ink_on
from audit_app.reports.summary import MACRO, POOLED
from audit_app.reports.survey import CHOSEN
from audit_app.survey import run_survey
from audit_app.survey_folder import SurveyFolder
from audit_app.survey_plan import SurveyChoices
from model_store.errors import UnknownMethod, UnsuitableLayer
from model_store.saliency.methods import LayerChoice
from tests.audit_app.naive_agreement import naive_columns
from tests.audit_app.small_study import GRID, Study, TinyExplanation, TinyModel, make_study

LAYERS = tuple(LayerChoice(f"blocks[{n}]", f"Block {n + 1} of 3", GRID, n == 2) for n in range(3))
METHODS = ("gradcam", "hirescam", "rollout", "randomcam")
CHOICES = SurveyChoices(model="tiny", methods=METHODS, replicates=40)
HEART = (8, 12, 22, 28)
SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class LayeredModel(TinyModel):
    """The tiny model with three layers; each turns its maps differently, rollout reads only two."""

    cells: list[tuple[str, str]] = field(default_factory=list)

    def layers(self, model: str) -> tuple[LayerChoice, ...]:
        assert model == "tiny"
        return LAYERS

    def explain(
        self,
        model: str,
        mode: str,
        method: str,
        picture: np.ndarray,
        findings: Sequence[str],
        *,
        layer: str,
    ) -> TinyExplanation:
        if method == "rollout" and layer == LAYERS[2].path:
            raise UnsuitableLayer(f"layer {layer} gives <no> attention")
        self.cells.append((method, layer))
        found = super().explain(model, mode, method, picture, findings)
        number = [one.path for one in LAYERS].index(layer)
        turned = np.roll(found.maps, (number + 3 * METHODS.index(method), 2 * number), (1, 2))
        facts = found.provenance | {"layer": layer}
        return TinyExplanation(turned, found.scores, found.findings, found.geometry, facts)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = make_study(tmp_path)
    for number, patient in enumerate(["Doe", "Doe", "Roe", "Poe"]):
        image = made.add_image(f"film {number}", patient, (40 - number, 30 + number))
        boxes = {"Cardiomegaly": [HEART], "Fracture": [(3, 10, 9 + number, 15)]}
        made.read(image, "R1", boxes if number < 3 else {"Cardiomegaly": [(2, 2, 14, 20)]})
    yield made
    made.store.close()


def survey(study: Study, out: Path, model: LayeredModel | None = None, **changes):
    choices = SurveyChoices.from_dict({**CHOICES.to_dict(), **changes})
    return run_survey(study.workspace, study.store, model or LayeredModel(), choices, out=out)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def by_loops(study: Study, method: str, layer: str) -> dict[str, float]:
    """The macro over findings of one cell, written out by hand."""
    model = LayeredModel()
    scored: dict[str, list[dict[str, object]]] = {}
    images = {image.image_id: image for image in study.store.images.all()}
    findings = study.store.findings()
    for reading in study.store.readings.committed(latest=False, blinded_only=True):
        picture = load_picture(images[reading.image_id])
        assert isinstance(picture, np.ndarray)
        told = model.explain("tiny", "zs", method, picture, findings, layer=layer)
        for finding in dict.fromkeys(region.finding for region in reading.regions):
            boxes = [
                told.geometry.to_input(region.box.corners)
                for region in reading.regions
                if region.finding == finding
            ]
            columns = naive_columns(told.maps[findings.index(finding)], boxes)
            scored.setdefault(finding, []).append(columns)

    def macro(name: str) -> float:
        means = [math.fsum(row[name] for row in rows) / len(rows) for rows in scored.values()]
        return math.fsum(means) / len(means)

    names = ("hit", "iou", "energy_in_box", "chance_hit", "shift_null_iou")
    return {name: macro(name) for name in names}


def test_every_cell_holds_what_plain_loops_give(study: Study, tmp_path: Path) -> None:
    survey(study, tmp_path / "out")
    rows = {
        (row["method"], row["layer"]): row
        for row in read_rows(tmp_path / "out" / "survey.csv")
        if row["finding"] == MACRO
    }
    assert len(rows) == 11
    for (method, layer), row in rows.items():
        expected = by_loops(study, method, layer)
        assert float(row["hit"]) == pytest.approx(expected["hit"], abs=1e-12)
        assert float(row["iou"]) == pytest.approx(expected["iou"], abs=1e-12)
        assert float(row["energy_in_box"]) == pytest.approx(expected["energy_in_box"], abs=1e-6)
        assert float(row["chance_hit"]) == pytest.approx(expected["chance_hit"], abs=1e-12)
        assert float(row["chance_energy"]) == pytest.approx(expected["chance_hit"], abs=1e-12)
        assert float(row["chance_iou"]) == pytest.approx(expected["shift_null_iou"], abs=1e-9)
        assert (row["n_scored"], row["n_patients"]) == ("7", "3")
        assert row["hit_low"] == ""
        assert "too few patients" in row["note"]


def test_all_cells_report_the_pooled_line_where_no_macro_has_an_interval(
    study: Study, tmp_path: Path
) -> None:
    found = survey(study, tmp_path / "out").survey
    assert found.headline == MACRO  # with three patients neither has an interval
    folder = SurveyFolder(tmp_path / "out")
    for number, cell in enumerate(found.ordered):
        lines = [{**line, "hit_low": 0.1, "hit_high": 0.9} if line["finding"] == POOLED else line
                 for line in cell.lines]  # fmt: skip
        folder.keep(number, replace(cell, lines=tuple(lines)))
    again = folder.read()
    assert again is not None
    assert again.headline == POOLED
    assert {cell.overall["finding"] for cell in again.ordered if cell.lines} == {POOLED}
    assert POOLED in draw_heat_grid(again, SCREEN)


def test_a_refused_cell_keeps_its_reason_and_the_others_go_on(study: Study, tmp_path: Path) -> None:
    result = survey(study, tmp_path / "out")
    assert result.survey.is_complete
    refused = [row for row in read_rows(tmp_path / "out" / "survey.csv") if row["reason"]]
    assert [(row["method"], row["layer"], row["status"]) for row in refused] == [
        ("rollout", "blocks[2]", "refused")
    ]
    assert refused[0]["reason"] == "layer blocks[2] gives <no> attention"
    assert refused[0]["hit"] == ""
    assert any("1 cells give no map" in line for line in result.lines())


def test_the_best_cell_is_labelled_is_no_control_and_changes_nothing(
    study: Study, tmp_path: Path
) -> None:
    before = study.store.models.get("tiny")
    result = survey(study, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "survey.csv")
    macros = [row for row in rows if row["finding"] == MACRO and row["method"] != "randomcam"]
    highest = max((float(row["hit"]), float(row["energy_in_box"])) for row in macros)
    (best,) = [row for row in macros if row["best"]]
    assert (float(best["hit"]), float(best["energy_in_box"])) == highest
    assert best["best"] == CHOSEN == "chosen on this data; never a default"
    facts = json.loads((tmp_path / "out" / "survey.json").read_text(encoding="utf-8"))
    assert facts["best"]["label"] == CHOSEN
    assert (facts["best"]["method"], facts["best"]["layer"]) == (best["method"], best["layer"])
    assert CHOSEN in result.lines()[0]
    assert study.store.models.get("tiny") == before


def test_a_control_as_high_as_the_best_is_said(study: Study, tmp_path: Path) -> None:
    class Lucky(LayeredModel):
        def explain(self, model, mode, method, picture, findings, *, layer):
            found = super().explain(model, mode, method, picture, findings, layer=layer)
            left, top, right, bottom = found.geometry.to_input(HEART)
            spot = np.zeros(GRID, np.float32)
            inside = method == "randomcam"
            spot[round((top + bottom) / 2) if inside else 0, round((left + right) / 2)] = 1
            maps = np.broadcast_to(spot, found.maps.shape).copy()
            facts = found.provenance
            return TinyExplanation(maps, found.scores, found.findings, found.geometry, facts)

    result = survey(study, tmp_path / "out", Lucky())
    assert result.survey.best is not None
    assert result.survey.best.method != "randomcam"
    assert any("control RandomCAM reaches" in line for line in result.lines())


def test_a_cancelled_survey_keeps_finished_cells_and_goes_on_from_there(
    study: Study, tmp_path: Path
) -> None:
    out, first = tmp_path / "out", LayeredModel()
    result = run_survey(
        study.workspace,
        study.store,
        first,
        CHOICES,
        out=out,
        progress=lambda done, *_: done >= 4 * 4 + 2,  # in the middle of the fifth cell
    )
    assert result.is_cancelled
    assert (
        list(result.survey.cells) == [(m, layer.path) for m in METHODS[:2] for layer in LAYERS][:4]
    )
    assert json.loads((out / "survey.json").read_text())["status"] == "cancelled"
    partial = read_rows(out / "survey.csv")
    second = LayeredModel()
    survey(study, out, second)
    assert set(first.cells[: 4 * 4]).isdisjoint(second.cells)
    assert json.loads((out / "survey.json").read_text())["status"] == "done"
    whole = read_rows(out / "survey.csv")
    without_best = [{**row, "best": ""} for row in whole]
    assert [{**row, "best": ""} for row in partial] == without_best[: len(partial)]
    survey(study, tmp_path / "other")
    again = read_rows(tmp_path / "other" / "survey.csv")
    assert [{**row, "seconds": ""} for row in whole] == [{**row, "seconds": ""} for row in again]


KILLED = """
import sys
from pathlib import Path
from annotations.store import Store
from annotations.workspace import open_workspace
from audit_app.survey import run_survey
from tests.audit_app.test_survey import CHOICES, LayeredModel

def progress(done, total, message):
    if done >= 14:
        print("there", flush=True)
        sys.stdin.read()
    return False

workspace = open_workspace(Path(sys.argv[1]))
with Store.open(workspace) as store:
    run_survey(
        workspace, store, LayeredModel(), CHOICES, out=Path(sys.argv[2]), progress=progress
    )
"""


def test_a_killed_survey_finds_its_finished_cells_again(
    study: Study, tmp_path: Path, repo_root: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(study.workspace.root), str(out)],
        cwd=repo_root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
    kept = SurveyFolder(out).read()
    assert kept is not None
    assert kept.facts["status"] == "running"
    assert list(kept.cells) == [("gradcam", layer.path) for layer in LAYERS]
    model = LayeredModel()
    assert survey(study, out, model).survey.is_complete
    assert "gradcam" not in {method for method, _ in model.cells}


def test_a_folder_with_another_survey_is_left_alone(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    survey(study, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(AuditError, match="other choices, readings, images or of another model"):
        survey(study, out, threshold=0.4)
    image = study.add_image("new", "Moe")
    study.read(image, "R1", {"Fracture": [HEART]})
    with pytest.raises(AuditError, match="choose another folder"):
        survey(study, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_who_asks_does_not_make_it_another_survey(study: Study, tmp_path: Path) -> None:
    survey(study, tmp_path / "out")
    model = LayeredModel()
    survey(study, tmp_path / "out", model, owner="mira")
    assert model.cells == []


def test_a_missing_picture_is_counted_and_not_scored(study: Study, tmp_path: Path) -> None:
    Path(study.store.images.all()[0].path).unlink()
    survey(study, tmp_path / "out")
    rows = [row for row in read_rows(tmp_path / "out" / "survey.csv") if row["finding"] == MACRO]
    assert {(row["n_rows"], row["n_scored"], row["n_invalid_input"]) for row in rows} == {
        ("7", "5", "2")
    }


def test_choices_that_make_no_survey_are_refused_with_what_is_known(
    study: Study, tmp_path: Path
) -> None:
    with pytest.raises(UnknownMethod, match="unknown saliency method 'guess'"):
        survey(study, tmp_path / "out", methods=["guess"])
    with pytest.raises(AuditError, match=r"has no layer 'x'; known: blocks\[0\]"):
        survey(study, tmp_path / "out", layers=["x"])
    with pytest.raises(AuditError, match="no layer given"):
        survey(study, tmp_path / "out", layers=[])
    with pytest.raises(AuditError, match="expected model and any of"):
        SurveyChoices.from_dict({"mode": "zs"})
    with pytest.raises(AuditError, match="nothing to audit: 0 committed readings match"):
        run_survey(
            study.workspace,
            study.store,
            LayeredModel(),
            SurveyChoices(model="tiny", readers=("nobody",)),
            out=tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


def test_the_figure_shows_every_cell_its_numbers_and_chance(study: Study, tmp_path: Path) -> None:
    result = survey(study, tmp_path / "out")
    figure = ElementTree.fromstring((tmp_path / "out" / "survey.svg").read_text(encoding="utf-8"))
    cells = {
        group.get("data-cell"): [text.text for text in group.iter(f"{SVG}text")]
        for group in figure.iter(f"{SVG}g")
        if group.get("data-cell")
    }
    assert len(cells) == 11
    for cell in result.survey.ordered:
        if cell.hit is not None:
            hit, interval, rows = cells[f"{cell.method} {cell.layer}"]
            assert (hit, interval, rows) == (f"{cell.hit:.2f}", "no interval", "n 7")
    titles = [title.text for title in figure.iter(f"{SVG}title")]
    assert "layer blocks[2] gives <no> attention" in titles
    (chance,) = [path for path in figure.iter(f"{SVG}path") if path.get("data-chance")]
    best = result.survey.best
    assert best is not None
    assert float(chance.get("data-chance")) == pytest.approx(best.overall["chance_hit"], abs=1e-4)
    assert sum(one.get("data-best") == "yes" for one in figure.iter(f"{SVG}rect")) == 1
    assert any("never a default" in (text.text or "") for text in figure.iter(f"{SVG}text"))


def test_a_higher_hit_rate_is_always_lighter_and_its_text_can_be_read() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        channels = [c / 255 for c in colour]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    shades = [colour_of(share) for share in np.linspace(0, 1, 101)]
    lights = [luminance(shade) for shade in shades]
    assert lights == sorted(lights)
    assert len(set(shades)) > 90
    for shade, light in zip(shades, lights, strict=True):
        ink = 0.0 if ink_on(shade) == "#000000" else 1.0
        contrast = (max(ink, light) + 0.05) / (min(ink, light) + 0.05)
        assert contrast >= 4.5


def test_an_unfinished_survey_is_drawn_with_empty_cells(study: Study, tmp_path: Path) -> None:
    result = run_survey(
        study.workspace,
        study.store,
        LayeredModel(),
        CHOICES,
        out=tmp_path / "out",
        progress=lambda done, *_: done >= 5,
    )
    figure = ElementTree.fromstring(draw_heat_grid(result.survey, PRINT))
    words = [text.text for text in figure.iter(f"{SVG}text")]
    assert words.count("not finished") == 11


def test_the_workspace_can_be_opened_elsewhere_meanwhile(study: Study, tmp_path: Path) -> None:
    survey(study, tmp_path / "out")
    with Store.open(open_workspace(study.workspace.root)) as other:
        assert other.check(progress=lambda *_: False) == []
