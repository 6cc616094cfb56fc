"""What every data source promises, whatever it reads."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

import annotations.sources
from annotations.errors import UnknownSource
from annotations.findings import STUDY_FINDINGS, normalise_term
from annotations.importing import import_source
from annotations.sources import SOURCES
from annotations.sources.listing import Source, SourceImage
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.sources.pictures import write_dicom, write_picture

KINDS = sorted(SOURCES)


def build_folder(folder: Path) -> Path:
    write_picture(folder / "a.png")
    write_picture(folder / "b.png", seed=1)
    (folder / "c.png").write_bytes(b"no picture")
    return folder


def build_dicom(folder: Path) -> Path:
    write_dicom(folder / "a.dcm")
    write_dicom(folder / "b.dcm", instance=2)
    (folder / "c.dcm").write_bytes(b"no picture")
    return folder


def build_iu_xray(folder: Path) -> Path:
    for uid in ("1", "2"):
        write_picture(folder / f"{uid}_IM-1.dcm.png", seed=int(uid))
    (folder / "indiana_reports.csv").write_text(
        "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"
        "1,Cardiomegaly,x,x,,,,\n2,normal,x,x,,,,\n3,normal\n",
        encoding="utf-8",
    )
    (folder / "indiana_projections.csv").write_text(
        "uid,filename,projection\n1,1_IM-1.dcm.png,Frontal\n2,2_IM-1.dcm.png,Frontal\n",
        encoding="utf-8",
    )
    return folder


def build_nih(folder: Path) -> Path:
    write_picture(folder / "00000001_000.png")
    write_picture(folder / "00000002_000.png", seed=1)
    (folder / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Effusion,1,2,3,4,,,\n00000001_000.png,Effusion,1,nan,3,4,,,\n",
        encoding="utf-8",
    )
    return folder


def build_vindr(folder: Path) -> Path:
    write_picture(folder / "x.png")
    write_picture(folder / "y.png", seed=1)
    (folder / "train.csv").write_text(
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
        "x,ILD,5,R1,1,2,3,4\ny,No finding,14,R2,,,,\nx,ILD,5,R1,9,2,3,4\n",
        encoding="utf-8",
    )
    return folder


def build_coco(folder: Path) -> Path:
    write_picture(folder / "x.png")
    write_picture(folder / "y.png", seed=1)
    content = {
        "images": [{"id": 1, "file_name": "x.png"}, {"id": 2, "file_name": "y.png"}],
        "categories": [{"id": 1, "name": "Mass"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, -3, 4]},
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def build_chexlocalize(folder: Path) -> Path:
    write_picture(folder / "patient1" / "study1" / "view1_frontal.jpg")
    write_picture(folder / "patient2" / "study1" / "view1_frontal.jpg", seed=1)
    good, bad = [[[1, 2], [9, 2], [9, 8]]], [[[1, 2], [9, 2]]]
    content = {"patient1_study1_view1_frontal": {"img_size": [40, 60], "Edema": good + bad}}
    (folder / "gt_annotations_val.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def build_chestx_det(folder: Path) -> Path:
    write_picture(folder / "1.png")
    write_picture(folder / "2.png", seed=1)
    content = [
        {
            "file_name": "1.png",
            "syms": ["Mass"],
            "boxes": [[1, 2, 9, 8]],
            "polygons": [[[1, 2], [9, 2], [9, 8]]],
        },
        {"file_name": "2.png", "syms": ["Mass"], "boxes": [], "polygons": []},
    ]
    (folder / "ChestX_Det_test.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def build_csv(folder: Path) -> Path:
    write_picture(folder / "x.png")
    write_picture(folder / "y.png", seed=1)
    (folder / "readings.csv").write_text(
        "image_path,reader,finding,x_min,y_min,x_max,y_max\n"
        "x.png,A,Edema,1,2,3,4\ny.png,A,No Finding,,,,\nx.png,A,Edema,900,2,903,4\n",
        encoding="utf-8",
    )
    return folder / "readings.csv"


# A small source of each kind: two good pictures and one bad entry.
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "folder": build_folder,
    "dicom": build_dicom,
    "iu-xray": build_iu_xray,
    "nih": build_nih,
    "vindr": build_vindr,
    "coco": build_coco,
    "chexlocalize": build_chexlocalize,
    "chestx-det": build_chestx_det,
    "csv": build_csv,
}


@pytest.fixture
def built(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return BUILDERS[request.param](folder)


def test_every_module_with_a_source_is_in_the_table() -> None:
    modules = [
        importlib.import_module(f"annotations.sources.{module.name}")
        for module in pkgutil.iter_modules(annotations.sources.__path__)
    ]
    found = {
        value.kind for module in modules for value in vars(module).values()
        if isinstance(value, Source)
    }  # fmt: skip

    assert found == set(SOURCES)


def test_every_source_has_a_small_example_here() -> None:
    assert sorted(BUILDERS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_aliases_are_written_as_they_are_looked_up_and_lead_to_findings_of_another_name(
    kind: str,
) -> None:
    source = SOURCES[kind]

    assert source.kind == kind
    assert source.description
    for term, finding in source.aliases.items():
        assert term == normalise_term(term)
        assert finding in STUDY_FINDINGS
        assert term != normalise_term(finding)


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_without_this_source_is_refused_with_a_sentence(kind: str, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UnknownSource) as refused:
            list(SOURCES[kind].load(place))
        assert str(place) in str(refused.value)


@pytest.mark.parametrize(("kind", "built"), [(kind, kind) for kind in KINDS], indirect=["built"])
def test_listing_is_repeatable_and_names_existing_absolute_paths(kind: str, built: Path) -> None:
    first = list(SOURCES[kind].load(built))

    assert list(SOURCES[kind].load(built)) == first
    paths = [item.path for item in first if isinstance(item, SourceImage)]
    assert all(path.is_absolute() and path.is_file() for path in paths)
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(("kind", "built"), [(kind, kind) for kind in KINDS], indirect=["built"])
def test_an_import_keeps_the_good_names_the_bad_and_can_be_repeated(
    kind: str, built: Path, tmp_path: Path
) -> None:
    workspace = create_workspace(tmp_path / "workspace", name="test")
    with Store.open(workspace) as store:
        first = import_source(workspace, store, built, kind)
        stored = [*store.images.all(), *store.readings.committed()]
        log = store.log.head()
        second = import_source(workspace, store, built, kind)

        assert (first.n_new, first.n_unchanged, len(first.skipped)) == (2, 0, 1)
        assert (second.n_new, second.n_unchanged, second.skipped) == (0, 2, first.skipped)
        assert second.n_readings == 0
        assert [*store.images.all(), *store.readings.committed()] == stored
        assert store.log.head() == log
        assert all(reading.imported for reading in store.readings.committed())
        assert len(store.readings.committed()) == first.n_readings
        assert store.check() == []
