from __future__ import annotations

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotations.errors import StoreError, UnknownSource
from annotations.exports import EXPORTERS
from annotations.findings import STUDY_FINDINGS
from annotations.importing import ImportReport, import_source
from annotations.records import Edit, Region
from annotations.regions import Box
from annotations.sources.iu_xray_labels import LABEL_SOURCE, RADIOLOGIST_SUBSET
from annotations.store import Store
from annotations.store.regions import MAX_NOTE
from annotations.workspace import Workspace, create_workspace, open_workspace
from tests.annotations.sources.pictures import write_dicom, write_picture

NIH_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
Run = Callable[..., ImportReport]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "workspace", name="test")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace) as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def run(workspace: Workspace, store: Store) -> Run:
    def run_import(source: Path, kind: str, **choices: object) -> ImportReport:
        return import_source(workspace, store, source, kind, **choices)  # type: ignore[arg-type]

    return run_import


def write_nih(folder: Path, *rows: str, size: tuple[int, int] = (40, 60)) -> Path:
    write_picture(folder / "00000001_000.png", size=size)
    (folder / "BBox_List_2017.csv").write_text(NIH_HEADER + "\n".join(rows), encoding="utf-8")
    return folder


def said_by(store: Store) -> list[tuple[str, str, tuple[int, int, int, int]]]:
    return [
        (reading.reader, region.finding, region.box.corners)
        for reading in store.readings.committed()
        for region in reading.regions
    ]


def test_boxes_become_a_committed_imported_reading_of_the_named_reader(
    run: Run, store: Store, source: Path
) -> None:
    write_nih(source, "00000001_000.png,Effusion,10.4,5.5,20.2,10", "00000001_000.png,Mass,0,0,9,9")

    report = run(source, "nih", reader="NIH radiologist")

    (reading,) = store.readings.committed()
    assert (reading.reader, reading.reader_kind, reading.imported, reading.blinded) == (
        "NIH radiologist", "imported", True, True,
    )  # fmt: skip
    # 10.4 -> 10, 5.5 -> 6, 30.6 -> 31, 15.5 -> 16
    assert said_by(store) == [
        ("NIH radiologist", "Pleural Effusion", (10, 6, 31, 16)),
        ("NIH radiologist", "Lung Lesion", (0, 0, 9, 9)),
    ]
    assert report.mapped == {"Effusion": "Pleural Effusion", "Mass": "Lung Lesion"}
    assert (report.n_readings, report.n_regions) == (1, 2)


def test_boxes_are_clipped_and_impossible_ones_named(run: Run, store: Store, source: Path) -> None:
    write_nih(
        source,
        "00000001_000.png,Mass,50,-5,100,30",
        "00000001_000.png,Mass,100,100,5,5",
        "00000001_000.png,Mass,5,5,0,5",
        "00000001_000.png,Mass,5,5,-2,5",
    )

    report = run(source, "nih")

    assert said_by(store) == [("imported", "Lung Lesion", (50, 0, 60, 25))]
    reasons = {entry.where: entry.reason for entry in report.skipped}
    assert list(reasons) == [f"BBox_List_2017.csv, row {number}" for number in (3, 4, 5)]
    assert "covers no pixel of the picture of 60 x 40" in reasons["BBox_List_2017.csv, row 3"]
    assert "empty or inverted" in reasons["BBox_List_2017.csv, row 4"]


def test_a_picture_whose_boxes_are_all_bad_has_no_reading(
    run: Run, store: Store, source: Path
) -> None:
    write_nih(source, "00000001_000.png,Mass,5,5,-2,5")

    report = run(source, "nih")

    assert (report.n_new, report.n_readings, len(report.skipped)) == (1, 0, 1)
    assert store.readings.committed() == []


def test_terms_without_a_counterpart_are_kept_under_their_own_name_and_said(
    run: Run, store: Store, source: Path
) -> None:
    write_nih(source, "00000001_000.png,Hernia,1,1,9,9", "00000001_000.png,hernia ,2,2,9,9")

    first = run(source, "nih")
    second = run(source, "nih")

    assert [finding for _, finding, _ in said_by(store)] == ["Hernia", "Hernia"]
    assert store.findings() == (*STUDY_FINDINGS, "Hernia")
    assert first.unmapped == second.unmapped == {"Hernia": 1, "hernia": 1}
    assert (
        "finding 'Hernia' (1 region) has no counterpart here and is kept under its own name"
        in first.lines()
    )


def test_a_workspace_s_own_finding_wins_over_the_alias(tmp_path: Path, source: Path) -> None:
    write_nih(source, "00000001_000.png,Nodule,1,1,9,9", "00000001_000.png,Effusion,1,1,9,9")
    workspace = create_workspace(tmp_path / "own", name="own", findings=["Nodule", "No Finding"])

    with Store.open(workspace) as store:
        report = import_source(workspace, store, source, "nih")

        assert [finding for _, finding, _ in said_by(store)] == ["Nodule", "Effusion"]
    assert report.mapped == {"Nodule": "Nodule"}
    assert report.unmapped == {"Effusion": 1}


def test_a_table_with_ten_percent_bad_rows_gives_the_other_ninety(
    run: Run, store: Store, source: Path
) -> None:
    rows = [f"00000001_000.png,Mass,{number % 30},1,5,5" for number in range(100)]
    for number, bad in zip(
        range(0, 100, 10),
        ["nan,1,5,5", "x,1,5,5", "1,1,-5,5", "1,1,5", "900,1,5,5", "inf,1,5,5", ",,,", "1,1,5,0",
         "1,1,5,5,6", '"1,1,5,5'],
        strict=True,
    ):  # fmt: skip
        rows[number] = f"00000001_000.png,Mass,{bad}"
    write_nih(source, *rows)

    report = run(source, "nih")

    assert report.n_regions == 90
    assert len(said_by(store)) == 90
    assert [entry.where for entry in report.skipped if "row" in entry.where] == [
        entry.where for entry in report.skipped
    ]
    assert {int(entry.where.split()[-1]) for entry in report.skipped} == set(range(2, 102, 10))


def test_a_broken_file_is_named_and_stops_nothing(run: Run, store: Store, source: Path) -> None:
    for number in range(5):
        write_picture(source / f"{number}.png", seed=number)
    (source / "2.png").write_bytes((source / "1.png").read_bytes()[:100])
    (source / "3.png").write_bytes(b"")

    report = run(source, "folder")

    assert [entry.where for entry in report.skipped] == ["2.png", "3.png"]
    assert all(entry.reason for entry in report.skipped)
    assert [image.name for image in store.images.all()] == ["0.png", "1.png", "4.png"]


def test_a_file_name_that_is_no_text_stops_nothing_and_can_be_shown(
    run: Run, store: Store, source: Path, workspace: Workspace
) -> None:
    good = write_picture(source / "a.png")
    bad = source / os.fsdecode(b"Caf\xe9.png")
    try:
        bad.write_bytes(good.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    seen: list[str] = []

    report = run(source, "folder", progress=lambda _done, _total, name: bool(seen.append(name)))

    assert [image.name for image in store.images.all()] == ["a.png"]
    assert len(report.skipped) == 1
    shown = "\n".join([*report.lines(), *seen])
    assert "Caf\\udce9.png" in shown
    assert shown.encode("utf-8")
    (table,) = workspace.exports.glob("import-folder-*.csv")
    assert "Caf\\udce9.png" in table.read_text(encoding="utf-8")


def test_a_term_in_another_encoding_costs_its_own_box_only(
    run: Run, store: Store, source: Path
) -> None:
    write_picture(source / "a.png")
    (source / "boxes.json").write_bytes(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png"}],
                "categories": [{"id": 1, "name": "Edema"}, {"id": 2, "name": "Odème"}],
                "annotations": [
                    {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
                    {"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]},
                ],
            },
            ensure_ascii=False,
        ).encode("latin-1")
    )

    report = run(source, "coco")

    assert [finding for _, finding, _ in said_by(store)] == ["Edema"]
    (skipped,) = report.skipped
    assert "is no valid UTF-8; save the file as UTF-8" in skipped.reason


def test_a_changed_file_is_named_and_its_record_stays(run: Run, store: Store, source: Path) -> None:
    path = write_picture(source / "a.png")
    run(source, "folder")
    (before,) = store.images.all()
    write_picture(path, seed=9)

    report = run(source, "folder")

    assert store.images.all() == [before]
    assert "changed since it was imported" in report.skipped[0].reason
    assert report.n_read == 0


def test_copied_pictures_stay_readable_when_the_source_is_gone(
    run: Run, store: Store, source: Path, workspace: Workspace
) -> None:
    path = write_picture(source / "a.png")
    content = path.read_bytes()

    report = run(source, "folder", copy=True)
    path.unlink()

    (image,) = store.images.all()
    copied = Path(image.path)
    assert report.n_new == 1
    assert copied.parent == workspace.images
    assert copied.read_bytes() == content
    assert copied.stat().st_mode & 0o077 == 0
    assert image.origin == str(path)
    assert store.check() == []


def test_copied_pictures_move_with_a_workspace_that_was_open_under_a_link(
    tmp_path: Path, source: Path
) -> None:
    create_workspace(tmp_path / "real", name="test")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_picture(source / "a.png")
    linked = open_workspace(tmp_path / "link")
    with Store.open(linked) as store:
        import_source(linked, store, source, "folder", copy=True)
    (tmp_path / "real").rename(tmp_path / "moved")

    with Store.open(open_workspace(tmp_path / "moved")) as store:
        (image,) = store.images.all()
        assert Path(image.path).parent == tmp_path / "moved" / "images"
        assert store.check() == []


def test_dicom_headers_become_keyed_hashes_only(
    run: Run, store: Store, source: Path, workspace: Workspace
) -> None:
    write_dicom(source / "a.dcm", study="1.22.333", instance=1, patient="PATIENT-77")
    write_dicom(source / "b.dcm", study="1.22.333", instance=2, patient="PATIENT-77")
    write_dicom(source / "c.dcm", study="1.22.444", patient="PATIENT-78")

    run(source, "dicom")

    images = store.images.all()
    assert images[0].patient_hash == images[1].patient_hash != images[2].patient_hash
    assert images[0].study_hash == images[1].study_hash != images[2].study_hash
    assert [image.view for image in images] == ["PA", "PA", "PA"]
    content = workspace.database.read_bytes()
    for secret in (b"PATIENT-77", b"1.22.333", b"Test^Person"):
        assert secret not in content


def test_pictures_of_one_nih_patient_share_the_patient_across_sources(
    run: Run, store: Store, tmp_path: Path
) -> None:
    write_picture(tmp_path / "one" / "00000007_000.png")
    write_nih(tmp_path / "two")
    write_picture(tmp_path / "two" / "00000007_001.png", seed=3)

    run(tmp_path / "one", "folder")
    run(tmp_path / "two", "nih")

    hashes = {image.name: image.patient_hash for image in store.images.all()}
    assert hashes["00000007_000.png"] == hashes["00000007_001.png"] != hashes["00000001_000.png"]


def test_boxes_drawn_on_another_size_are_refused_and_the_picture_kept(
    run: Run, source: Path
) -> None:
    write_picture(source / "x.png", size=(40, 60))
    (source / "coco.json").write_text(
        '{"images": [{"id": 1, "file_name": "x.png", "height": 400, "width": 600}],'
        '"categories": [{"id": 1, "name": "Mass"}],'
        '"annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]}',
        encoding="utf-8",
    )

    report = run(source, "coco")

    assert (report.n_new, report.n_readings) == (1, 0)
    assert report.skipped[0].reason.startswith("boxes were drawn on 600 x 400 pixels")


def test_readers_of_one_picture_are_kept_apart(run: Run, store: Store, source: Path) -> None:
    write_picture(source / "x.png")
    (source / "train.csv").write_text(
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
        "x,Nodule/Mass,8,R9,1,2,3,4\nx,No finding,14,R8,,,,\nx,Pleural thickening,5,R10,1,2,8,9\n",
        encoding="utf-8",
    )

    run(source, "vindr")

    said = {
        reading.reader: [region.finding for region in reading.regions]
        for reading in store.readings.committed()
    }
    assert said == {"R9": ["Lung Lesion"], "R8": [], "R10": ["Pleural Other"]}
    assert [one.no_finding for one in store.readings.committed(readers=["R8"])] == [True]


def test_a_cancelled_import_keeps_what_it_read_and_can_be_finished(
    run: Run, store: Store, source: Path
) -> None:
    for number in range(6):
        write_picture(source / f"{number}.png", seed=number)
    calls: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, name: str) -> bool:
        calls.append((done, total, name))
        return done == 4

    report = run(source, "folder", progress=progress)
    finished = run(source, "folder")

    assert calls == [(number, 6, f"{number}.png") for number in range(5)]
    assert report.is_cancelled
    assert report.n_new == 4
    assert (finished.n_new, finished.n_unchanged, store.images.count()) == (2, 4, 6)


def test_the_report_lists_twenty_and_its_csv_everything(
    run: Run, source: Path, workspace: Workspace
) -> None:
    rows = [f"{number:08d}_000.png,Mass,1,1,5,5" for number in range(2, 30)]
    write_nih(source, "00000001_000.png,Mass,nan,1,1,1", *rows, "00000001_000.png,Mass,1,1,5,5")

    report = run(source, "nih")

    lines = report.lines()
    assert lines[0].startswith("nih: 1 picture read, 1 new and 0 known before, in ")
    assert "28 rows of BBox_List_2017.csv name a picture that is absent" in lines
    assert "29 skipped, the first 20 of them:" in lines
    listed = [line for line in lines if line.startswith("  BBox_List_2017.csv, row ")]
    assert len(listed) == 20
    assert listed[0] == ("  BBox_List_2017.csv, row 2: column 'x' holds 'nan'; expected a number")
    (path,) = workspace.exports.glob("import-nih-*.csv")
    with path.open(newline="", encoding="utf-8-sig") as file:
        written = list(csv.DictReader(file))
    assert sum(row["what"] == "skipped" for row in written) == 29
    assert [row["name"] for row in written if row["what"] == "new"] == ["00000001_000.png"]
    assert ["mapped", "Mass", "Lung Lesion"] in [
        [row["what"], row["name"], row["detail"]] for row in written
    ]
    assert path.stat().st_mode & 0o077 == 0


def test_an_import_that_changed_something_stands_in_the_log(
    run: Run, store: Store, source: Path
) -> None:
    write_nih(source, "00000001_000.png,Mass,1,1,5,5")

    run(source, "nih", reader="NIH")
    run(source, "nih", reader="NIH")

    imports = [row for row in store.log.rows() if row.kind == "import"]
    assert len(imports) == 1
    assert store.log.verify() == []


@pytest.mark.parametrize(
    ("kind", "reader", "sentence"),
    [
        ("voc", "A", "unknown kind of source 'voc'; known: folder, dicom"),
        ("NIH", "A", "did you mean 'nih'"),
        ("folder", "  ", "the reader's name is empty"),
    ],
)
def test_wrong_use_is_refused_with_a_sentence(
    run: Run, source: Path, kind: str, reader: str, sentence: str
) -> None:
    with pytest.raises(UnknownSource, match=sentence):
        run(source, kind, reader=reader)


def region(finding: str, region_id: str, *, note: str = "") -> Region:
    return Region(region_id, finding, "possible", Box(1, 2, 30, 20), note)


def read_by_hand(store: Store, image_id: str, reader: str) -> None:
    """A blinded commit, a look at the heatmap, a correction, a second commit."""
    regions = [region("Edema", "r1", note='=1+1, "quoted"\nline'), region("Fracture", "r2")]
    version = 0
    for number, one in enumerate(regions):
        edit = Edit("c", number, image_id, version, "put", region=one)
        version = store.readings.apply(edit, reader).version
    store.readings.commit(image_id, reader, base_version=version)
    store.readings.reveal(image_id, reader)
    version = store.readings.reopen(image_id, reader).version
    edit = Edit("c", 9, image_id, version, "delete", region_id="r1")
    version = store.readings.apply(edit, reader).version
    store.readings.commit(image_id, reader, base_version=version)


def statements(store: Store) -> list[tuple[object, ...]]:
    """What every committed version says, without ids that belong to one workspace."""
    names = {image.image_id: image.sha256 for image in store.images.all()}
    return sorted(
        (names[one.image_id], one.reader, one.reader_kind, one.commit_number, one.blinded,
         one.no_finding, one.regions)
        for image in names
        for one in store.readings.of_image(image)
    )  # fmt: skip


def test_an_export_comes_back_in_another_workspace_without_loss(
    run: Run, store: Store, source: Path, tmp_path: Path
) -> None:
    write_nih(source, "00000001_000.png,Hernia,1,1,5,5")
    write_picture(source / "b.png", seed=2)
    run(source, "nih", reader="=NIH, 'quoted'")
    read_by_hand(store, store.images.all()[1].image_id, "Dr. Ä")
    edit = Edit("d", 1, store.images.all()[1].image_id, 0, "no_finding", no_finding=True)
    version = store.readings.apply(edit, "Dr. B").version
    store.readings.commit(edit.image_id, "Dr. B", base_version=version)
    table = tmp_path / "readings.csv"
    n_rows = EXPORTERS["csv"].write(store, table).count

    other = create_workspace(tmp_path / "other", name="other")
    with Store.open(other) as copy:
        report = import_source(other, copy, table, "csv")
        again = import_source(other, copy, table, "csv")

        assert n_rows == 5
        assert report.skipped == again.skipped == ()
        assert (report.n_readings, again.n_readings) == (4, 0)
        assert statements(copy) == statements(store)
        kept = [
            one for image in copy.images.all() for one in copy.readings.of_image(image.image_id)
        ]
        assert all(one.imported for one in kept)
        exported_again = tmp_path / "again.csv"
        EXPORTERS["csv"].write(copy, exported_again)
        assert essence(exported_again) == essence(table)


def essence(table: Path) -> list[tuple[str, ...]]:
    columns = (
        "image_name", "image_sha256", "reader", "reader_kind", "commit_number", "blinded",
        "no_finding", "region_id", "finding", "certainty", "x_min", "y_min", "x_max", "y_max",
        "note",
    )  # fmt: skip
    with table.open(newline="", encoding="utf-8-sig") as file:
        return sorted(tuple(row[name] for name in columns) for row in csv.DictReader(file))


def test_an_export_of_the_same_workspace_changes_nothing_there(
    run: Run, store: Store, source: Path, tmp_path: Path
) -> None:
    write_picture(source / "a.png")
    run(source, "folder", copy=True)
    read_by_hand(store, store.images.all()[0].image_id, "Dr. A")
    EXPORTERS["csv"].write(store, tmp_path / "readings.csv")
    before = (store.images.all(), statements(store), store.log.head())

    report = run(tmp_path / "readings.csv", "csv")

    assert report.skipped == ()
    assert report.n_unchanged == 1
    assert (store.images.all(), statements(store), store.log.head()) == before


def test_an_export_refuses_a_picture_that_changed(
    run: Run, store: Store, source: Path, tmp_path: Path
) -> None:
    path = write_picture(source / "a.png")
    run(source, "folder")
    read_by_hand(store, store.images.all()[0].image_id, "Dr. A")
    EXPORTERS["csv"].write(store, tmp_path / "readings.csv")
    write_picture(path, seed=7)

    report = run(tmp_path / "readings.csv", "csv")

    assert "is not the file that was annotated" in report.skipped[0].reason


@pytest.mark.real_data
def test_the_nih_set_gives_eight_pictures_and_four_boxes(
    run: Run, store: Store, shared_data: Path
) -> None:
    report = run(shared_data / "nih_chestxray14", "nih", reader="NIH")

    assert (report.n_new, report.n_readings, report.n_regions) == (8, 4, 4)
    assert len(report.skipped) == 980
    assert {image.size for image in store.images.all()} == {(1024, 1024)}


@pytest.mark.real_data
def test_the_coco_set_gives_20_pictures_and_112_boxes(
    run: Run, store: Store, shared_data: Path
) -> None:
    report = run(shared_data / "nih_mass_nodule_coco", "coco")

    assert (report.n_new, report.n_readings, report.n_regions) == (20, 20, 112)
    assert report.skipped == ()
    assert {finding for _, finding, _ in said_by(store)} == {"Lung Lesion"}


@pytest.mark.real_data
def test_of_the_dicom_files_eight_are_read_and_two_refused_with_a_reason(
    run: Run, shared_data: Path
) -> None:
    report = run(shared_data / "dicom", "dicom")

    assert report.n_new == 8
    assert {entry.where for entry in report.skipped} == {
        "mr_with_overlays.dcm",
        "rgb_two_frames.dcm",
    }
    assert all(len(entry.reason) > 20 for entry in report.skipped)


@pytest.mark.real_data
def test_iu_xray_imports_in_a_minute_with_the_reference_labels_and_split(
    run: Run, store: Store, shared_data: Path
) -> None:
    folder = shared_data / "iu_xray"
    with (folder / "reference_labels_and_split.csv").open(newline="", encoding="utf-8") as file:
        reference = {row["filename"].removesuffix(".dcm.png"): row for row in csv.DictReader(file)}
    started = time.perf_counter()

    report = run(folder, "iu-xray")

    assert time.perf_counter() - started < 60
    images = {image.image_id: image for image in store.images.all()}
    n_views = Counter(image.view for image in images.values())
    assert n_views == {"Frontal": 1500, "Lateral": 61}
    assert "5,905 rows of indiana_projections.csv name a picture that is absent" in report.lines()
    parts = {"train": "train", "val": "validation", "test": "test"}
    here = {key: image.name for key, image in images.items() if image.name in reference}
    assert store.labels.splits(LABEL_SOURCE) == {
        key: parts[reference[name]["split"]] for key, name in here.items()
    }
    assert store.labels.all(LABEL_SOURCE) == {
        key: {finding: reference[name][finding] == "1" for finding in STUDY_FINDINGS}
        for key, name in here.items()
    }
    assert set(store.labels.splits(RADIOLOGIST_SUBSET)) == {
        key for key, name in here.items() if reference[name]["radiologist15"] == "1"
    }
    log = store.log.head()
    again = run(folder, "iu-xray")
    assert (again.n_new, again.n_unchanged, store.log.head()) == (0, 1561, log)


def test_an_import_whose_store_fails_midway_leaves_a_report_of_what_it_kept(
    workspace: Workspace, store: Store, source: Path
) -> None:
    for number in range(130):
        write_picture(source / f"{number:03d}.png", seed=number)

    def close(done: int, *_: object) -> bool:
        if done == 100:
            failing.close()
        return False

    failing = Store.open(workspace)
    with pytest.raises(StoreError, match="was closed"):
        import_source(workspace, failing, source, "folder", progress=close)

    assert store.images.count() == 64
    (report,) = workspace.exports.glob("import-folder-*.csv")
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["what"] == "new" for row in rows) == 64
    assert any("stopped before the end: the store" in row["detail"] for row in rows)
    assert import_source(workspace, store, source, "folder").n_new == 66


def test_ctrl_c_in_an_import_leaves_a_report_and_a_log_row(
    run: Run, store: Store, workspace: Workspace, source: Path
) -> None:
    for number in range(70):
        write_picture(source / f"{number:03d}.png", seed=number)

    def interrupt(done: int, *_: object) -> bool:
        if done == 66:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(source, "folder", progress=interrupt)

    assert store.images.count() == 64
    assert len(list(workspace.exports.glob("import-folder-*.csv"))) == 1
    (row,) = (row for row in store.log.rows() if row.kind == "import")
    assert (row.details["new"], row.details["kind"]) == (64, "folder")


def test_a_note_of_many_lines_and_a_nul_comes_back_from_an_export(
    run: Run, store: Store, source: Path, tmp_path: Path
) -> None:
    write_picture(source / "a.png")
    run(source, "folder")
    (image,) = store.images.all()
    notes = ["\n" * MAX_NOTE, "a\0b"]
    regions = [
        Region(f"r{number}", "Edema", "definite", Box(1, 2, 8, 9), note)
        for number, note in enumerate(notes)
    ]
    store.readings.import_committed(image.image_id, "R", "imported", regions, False)
    EXPORTERS["csv"].write(store, tmp_path / "out.csv")

    other = create_workspace(tmp_path / "other", name="other")
    with Store.open(other) as opened:
        report = import_source(other, opened, tmp_path / "out.csv", "csv")
        assert not report.skipped
        (reading,) = opened.readings.committed()
    assert sorted(region.note for region in reading.regions) == sorted(notes)
