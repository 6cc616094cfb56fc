from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont

from annotations.errors import StoreError
from annotations.importing import import_source
from annotations.pseudonyms import PseudonymReport, pseudonymise
from annotations.pseudonyms.run import LIST_NAME
from annotations.store import Store
from annotations.workspace import Workspace, create_workspace
from tests.browser.films import film, write_dicom


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three pictures under telling names: a plain one, one with a name burned in, a DICOM file."""
    folder = tmp_path / "Musterfrau"
    folder.mkdir()
    plain = Image.fromarray(film(200, 160, 150).astype(np.uint8))
    plain.save(folder / "erika-plain.jpg", quality=90, comment=b"Musterfrau")
    ImageDraw.Draw(plain).text((8, 8), "MUSTERFRAU", fill=255, font=ImageFont.load_default(14))
    plain.save(folder / "erika-burned-in.png")
    write_dicom(folder / "erika.dcm", film(200, 160, 4095))
    made = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(made) as store:
        import_source(made, store, folder, "folder")
    return made


def run(workspace: Workspace, out: Path) -> PseudonymReport:
    with Store.open(workspace) as store:
        return pseudonymise(workspace, store, out)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / LIST_NAME).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_picture_gets_a_copy_without_a_name_and_a_place_on_a_sheet(
    workspace: Workspace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = run(workspace, out)
    assert (report.n_written, report.n_look_first, report.n_sheets) == (3, 1, 2)
    assert report.left_out == ()
    with Store.open(workspace) as store:
        ids = {image.image_id: image for image in store.images.all()}
    copies = sorted((out / "pictures").iterdir())
    assert sorted(copy.stem for copy in copies) == sorted(ids)
    assert out.stat().st_mode & 0o077 == 0
    for file in out.rglob("*"):
        assert "erika" not in str(file.relative_to(out)).lower()
        if file.is_file():
            assert b"Musterfrau" not in file.read_bytes()
    by_name = {row["file"]: row for row in rows(out)}
    assert set(by_name) == {copy.name for copy in copies}
    suspects = [row for row in by_name.values() if row["look_first"]]
    assert [(row["look_first"], row["sheet"], row["place"]) for row in suspects] == [
        ("looks like text", "look-first-0001.png", "1")
    ]
    assert ids[Path(suspects[0]["file"]).stem].name == "erika-burned-in.png"
    (dicom,) = (copy for copy in copies if copy.suffix == ".dcm")
    assert pydicom.dcmread(dicom).PatientID == by_name[dicom.name]["patient"]
    said = " ".join(report.lines())
    assert "1 of them may have text burned in" in said
    assert "look through all 2 contact sheets" in said


def test_a_picture_that_is_gone_or_was_changed_is_left_out_with_the_reason(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "Musterfrau" / "erika-plain.jpg").unlink()
    (tmp_path / "Musterfrau" / "erika.dcm").write_bytes(b"another file")
    report = run(workspace, tmp_path / "out")
    assert report.n_written == 1
    assert sorted(one.reason for one in report.left_out) == [
        "its file changed since the import; restore it",
        "its file is missing; restore it",
    ]
    assert "erika" not in " ".join(report.lines()).replace(str(tmp_path), "").lower()


def test_the_same_patient_has_the_same_pseudonym_in_each_run(tmp_path: Path) -> None:
    source = write_dicom(tmp_path / "erika.dcm", film(60, 50, 4095))
    made = create_workspace(tmp_path / "ward", name="ward")
    with Store.open(made) as store:
        import_source(made, store, source, "dicom")
        pseudonymise(made, store, tmp_path / "first")
        pseudonymise(made, store, tmp_path / "second")
        (image,) = store.images.all()
    patients = {rows(tmp_path / out)[0]["patient"] for out in ("first", "second")}
    assert patients == {made.patient_hash("pseudonym", image.patient_hash)}
    # Another workspace's key makes another one of the same patient.
    other = create_workspace(tmp_path / "other", name="other")
    assert other.patient_hash("pseudonym", image.patient_hash) not in patients


def test_a_folder_that_holds_anything_is_refused_and_a_stop_is_said(
    workspace: Workspace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Store.open(workspace) as store:
        report = pseudonymise(workspace, store, out, progress=lambda done, *_: done == 1)
    assert (report.n_written, report.is_cancelled) == (1, True)
    assert report.lines()[-1] == "Stopped before the end."
    with pytest.raises(StoreError, match="is not empty"):
        run(workspace, out)
