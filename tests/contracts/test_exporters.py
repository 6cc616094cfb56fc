"""What every export format promises, whatever it writes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import annotations.exports
from annotations.errors import ExportRefused
from annotations.exports import EXPORTERS, export_readings
from annotations.exports.exporter import Exporter
from annotations.store import Store
from annotations.workspace import create_workspace
from tests.annotations.exports.study import Study, build_study

KINDS = sorted(EXPORTERS)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    built = build_study(tmp_path_factory.mktemp("study"))
    with built.store:
        yield built


def test_every_module_with_an_exporter_is_in_the_table() -> None:
    modules = [
        importlib.import_module(f"annotations.exports.{module.name}")
        for module in pkgutil.iter_modules(annotations.exports.__path__)
    ]
    found = {
        value.kind for module in modules for value in vars(module).values()
        if isinstance(value, Exporter)
    }  # fmt: skip

    assert found == set(EXPORTERS)
    assert all(kind == exporter.kind for kind, exporter in EXPORTERS.items())


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_or_folder_appears_whole_and_alone_and_nothing_else_changes(
    kind: str, study: Study, tmp_path: Path
) -> None:
    before = study.store.log.head()
    out = tmp_path / "new" / f"readings{EXPORTERS[kind].suffix}"

    exported = export_readings(study.store, kind, out)

    assert exported.count > 0
    assert exported.noun
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.is_dir() == EXPORTERS[kind].is_folder
    assert EXPORTERS[kind].description
    assert study.store.log.head() == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_is_the_same_on_a_second_export(
    kind: str, study: Study, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        export_readings(study.store, kind, tmp_path / name)

    one, two = ({path.relative_to(tmp_path / name): path.read_bytes() for path in files}
                for name in ("one", "two")
                for files in [[p for p in [tmp_path / name, *(tmp_path / name).rglob("*")]
                               if p.is_file()]])  # fmt: skip
    assert one == two
    assert one


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"dicom-sr"}))
def test_a_workspace_without_readings_gives_a_valid_empty_export(kind: str, tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(workspace) as store:
        assert export_readings(store, kind, tmp_path / "out").count == 0
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_cannot_be_written_is_said(kind: str, study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(ExportRefused, match=r"choose another place"):
        export_readings(study.store, kind, tmp_path / "file" / "below")


def test_an_unknown_format_is_refused_with_the_nearest(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=r"unknown format 'cocos'.*did you mean 'coco'"):
        export_readings(study.store, "cocos", tmp_path / "x")
