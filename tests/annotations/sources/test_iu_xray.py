from __future__ import annotations

from pathlib import Path

import pytest

from annotations.errors import UnknownSource
from annotations.sources.iu_xray import load_iu_xray
from annotations.sources.iu_xray_release import kaggle_name, parse_report
from annotations.sources.listing import Remark, Skipped, SourceImage, SourceItem
from annotations.sources.tables import RowError
from tests.annotations.sources.pictures import write_picture

REPORTS = "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"
PROJECTIONS = "uid,filename,projection\n"


def write_tables(folder: Path, reports: str, projections: str) -> None:
    (folder / "indiana_reports.csv").write_text(REPORTS + reports, encoding="utf-8")
    (folder / "indiana_projections.csv").write_text(PROJECTIONS + projections, encoding="utf-8")


def images_in(items: list[SourceItem]) -> dict[str, SourceImage]:
    return {item.name: item for item in items if isinstance(item, SourceImage)}


def skipped_in(items: list[SourceItem]) -> dict[str, str]:
    return {item.where: item.reason for item in items if isinstance(item, Skipped)}


def test_report_history_view_and_labels_come_with_the_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "1_IM-0001-4001.dcm.png")
    write_picture(tmp_path / "images" / "1_IM-0001-3001.dcm.jpg")
    write_tables(
        tmp_path,
        '1,"Catheters, Indwelling/right;Nodule/lung",x,PA,Cough,None.,"Nodule, right.",Stable.\n',
        "1,1_IM-0001-4001.dcm.png,Frontal\n1,1_IM-0001-3001.dcm.png,Lateral\n",
    )

    images = images_in(list(load_iu_xray(tmp_path)))

    frontal, lateral = images["1_IM-0001-4001"], images["1_IM-0001-3001"]
    assert (frontal.view, lateral.view) == ("Frontal", "Lateral")
    assert frontal.history == "Cough"
    assert frontal.report == "Comparison: None.\nFindings: Nodule, right.\nImpression: Stable."
    assert {finding for finding, value in frontal.labels.items() if value} == {
        "Support Devices",
        "Lung Lesion",
        "Lung Opacity",
    }
    assert frontal.patient == lateral.patient == "iu-xray:1"
    assert lateral.labels == {}


def test_only_the_first_frontal_picture_of_a_report_is_the_study_s(tmp_path: Path) -> None:
    names = ["7_IM-2.dcm.png", "7_IM-1.dcm.png"]
    others = [(str(uid), f"{uid}_IM-0.dcm.png") for uid in range(8, 30)]
    for name in [*names, *(name for _, name in others)]:
        write_picture(tmp_path / name)
    write_tables(
        tmp_path,
        "".join(f"{uid},normal,normal,PA,,,,\n" for uid in range(7, 30)),
        "".join(f"7,{name},Frontal\n" for name in names)
        + "".join(f"{uid},{name},Frontal\n" for uid, name in others),
    )

    images = images_in(list(load_iu_xray(tmp_path)))

    assert images["7_IM-2"].split in {"train", "validation", "test"}
    assert images["7_IM-2"].labels["No Finding"] is True
    assert (images["7_IM-1"].split, images["7_IM-1"].labels) == ("", {})
    assert {image.split for image in images.values()} == {"", "train", "validation", "test"}


def test_absent_unlisted_and_unreported_pictures_are_each_named(tmp_path: Path) -> None:
    for name in ("1_IM-1.dcm.png", "2_IM-1.dcm.png", "stray.png"):
        write_picture(tmp_path / name)
    write_tables(
        tmp_path,
        "1,normal,normal,PA,,,,\n",
        "1,1_IM-1.dcm.png,Frontal\n1,1_IM-9.dcm.png,Lateral\n2,2_IM-1.dcm.png,Frontal\n",
    )

    items = list(load_iu_xray(tmp_path))

    assert list(images_in(items)) == ["1_IM-1", "2_IM-1"]
    assert skipped_in(items) == {
        "indiana_projections.csv, row 3": (
            "picture 1_IM-9.dcm.png is absent; put it below the folder and import again"
        ),
        "indiana_projections.csv, row 4": "no report with uid 2; imported without one",
        "stray.png": (
            "not listed in indiana_projections.csv; use 'folder' to import it without a report"
        ),
    }


def test_bad_rows_of_both_tables_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    write_picture(tmp_path / "1_IM-1.dcm.png")
    write_tables(
        tmp_path,
        "1,normal,normal,PA,,,,\n2,normal\n,normal,normal,PA,,,,\n",
        "1,1_IM-1.dcm.png,Frontal\n3,,Frontal\n",
    )

    items = list(load_iu_xray(tmp_path))

    assert list(images_in(items)) == ["1_IM-1"]
    assert list(skipped_in(items)) == [
        "indiana_reports.csv, row 3",
        "indiana_reports.csv, row 4",
        "indiana_projections.csv, row 3",
    ]


def test_a_folder_with_neither_layout_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "1_IM-1.dcm.png")

    with pytest.raises(UnknownSource, match=r"neither indiana_reports\.csv with .* nor XML"):
        list(load_iu_xray(tmp_path))


XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><meta type="rr"/><uId id="CXR{uid}"/><pmcId id="{uid}"/>
<MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="INDICATION">Positive
  TB test</AbstractText>
<AbstractText Label="FINDINGS">Enlarged heart &amp; clear lungs.</AbstractText>
<AbstractText Label="IMPRESSION">Cardiomegaly.</AbstractText>
</Abstract></Article></MedlineCitation>
<MeSH><major>Cardiomegaly/borderline</major><major>Thickening/pleura</major>
<automatic>Nodule</automatic></MeSH>
<parentImage id="{picture}"><figureId>F1</figureId></parentImage></eCitation>
"""


@pytest.mark.parametrize(
    ("release", "kaggle"),
    [
        ("CXR1_1_IM-0001-3001", "1_IM-0001-3001"),
        ("CXR1000_IM-0003-1001", "1000_IM-0003-1001"),
        ("CXR10_10_IM-0002-1001", "10_IM-0002-1001"),
        ("1_IM-0001-3001", "1_IM-0001-3001"),
    ],
)
def test_release_names_map_to_kaggle_names(release: str, kaggle: str) -> None:
    assert kaggle_name(release) == kaggle


def write_release(folder: Path) -> None:
    for uid, picture in (("10", "CXR10_IM-0002-1001"), ("2", "CXR2_2_IM-0001-4001")):
        xml = folder / "ecgen-radiology" / f"{uid}.xml"
        xml.parent.mkdir(exist_ok=True)
        xml.write_text(XML.format(uid=uid, picture=picture), encoding="utf-8")
        write_picture(folder / "pictures" / f"{picture}.png")


def test_the_release_gives_report_and_labels_in_the_order_of_the_reports(tmp_path: Path) -> None:
    write_release(tmp_path)

    items = list(load_iu_xray(tmp_path))

    images = images_in(items)
    assert list(images) == ["2_IM-0001-4001", "10_IM-0002-1001"]
    image = images["2_IM-0001-4001"]
    assert image.path.name == "CXR2_2_IM-0001-4001.png"
    assert image.history == "Positive TB test"
    assert "Findings: Enlarged heart & clear lungs." in image.report
    assert {finding for finding, value in image.labels.items() if value} == {
        "Cardiomegaly",
        "Enlarged Cardiomediastinum",
        "Pleural Other",
    }
    assert (image.view, image.split) == ("", "")
    assert any("no split" in item.text for item in items if isinstance(item, Remark))


def test_the_release_takes_views_from_the_projections_table_beside_it(tmp_path: Path) -> None:
    write_release(tmp_path)
    (tmp_path / "indiana_projections.csv").write_text(
        PROJECTIONS + "2,2_IM-0001-4001.dcm.png,Frontal\n10,10_IM-0002-1001.dcm.png,Lateral\n",
        encoding="utf-8",
    )

    images = images_in(list(load_iu_xray(tmp_path)))

    assert images["2_IM-0001-4001"].view == "Frontal"
    assert images["10_IM-0002-1001"].view == "Lateral"
    assert images["2_IM-0001-4001"].labels != {}
    assert images["10_IM-0002-1001"].labels == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<eCitation><uId id='CXR3'/>", "broken XML"),
        ("<eCitation><meta/></eCitation>", "no <uId"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><eCitation><uId id='CXR3'/></eCitation>", "with entities"),
    ],
)
def test_a_bad_report_is_skipped_with_its_reason(tmp_path: Path, content: str, reason: str) -> None:
    write_release(tmp_path)
    (tmp_path / "ecgen-radiology" / "3.xml").write_text(content, encoding="utf-8")
    (tmp_path / "ecgen-radiology" / "other.xml").write_text("<html/>", encoding="utf-8")

    items = list(load_iu_xray(tmp_path))

    assert reason in skipped_in(items)["3.xml"]
    assert len(skipped_in(items)) == 1
    assert len(images_in(items)) == 2


def test_a_report_that_cannot_be_opened_is_skipped_with_its_reason(tmp_path: Path) -> None:
    write_release(tmp_path)
    (tmp_path / "ecgen-radiology" / "3.xml").symlink_to(tmp_path / "nowhere")

    items = list(load_iu_xray(tmp_path))

    assert skipped_in(items) == {
        "3.xml": "cannot be read: No such file or directory; check the file"
    }
    assert len(images_in(items)) == 2


@pytest.mark.real_data
def test_the_shared_pictures_are_found_and_the_absent_ones_counted(shared_data: Path) -> None:
    items = list(load_iu_xray(shared_data / "iu_xray"))

    images = list(images_in(items).values())
    absent = [item for item in items if isinstance(item, Skipped)]
    # 1,500 + 60 squashed pictures; of the two full-size ones one replaces its squashed copy.
    assert sum(image.view == "Frontal" for image in images) == 1500
    assert sum(image.view == "Lateral" for image in images) == 61
    assert len(absent) == 7466 - 1561 == 5905
    assert {entry.group for entry in absent} == {
        "rows of indiana_projections.csv name a picture that is absent"
    }
    by_name = images_in(items)
    assert by_name["1000_IM-0003-1001"].path.parent.name == "full_size"


def test_hidden_pictures_and_other_files_are_said_but_not_the_tables(tmp_path: Path) -> None:
    write_picture(tmp_path / "1_IM-1.png")
    write_picture(tmp_path / ".2_IM-1.png")
    (tmp_path / "read.me").write_text("x", encoding="utf-8")
    write_tables(tmp_path, "1,normal,x,PA,,,,\n", "1,1_IM-1.png,Frontal\n")

    items = list(load_iu_xray(tmp_path))

    assert skipped_in(items) == {".2_IM-1.png": "hidden file; rename it if it is a radiograph"}
    remarks = [item.text for item in items if isinstance(item, Remark)]
    assert "1 other file left alone (1 .me)" in remarks


def test_a_report_that_is_too_large_is_refused_without_reading_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "1.xml"
    with path.open("wb") as file:
        file.write(b"<eCitation>")
        file.truncate(40 * 2**30)  # sparse: 40 GiB that no memory holds
    with pytest.raises(RowError, match="larger than 2,000,000 bytes"):
        parse_report(path)
