"""IU-Xray: the Kaggle tables (reports and projections), or the release with one XML per report.

Labels follow the MeSH rule, the split is the study's (``iu_xray_labels``). Labels and split go to
the study's picture of each report, the first frontal one: with labels on every picture, a second
view of a test report could slip into training. Most pictures may be absent: the split is made over
all reports that the table lists, so it stays the study's split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.errors import UnknownSource
from annotations.sources.iu_xray_labels import (
    LABEL_SOURCE,
    N_STUDY_REPORTS,
    RADIOLOGIST_SUBSET,
    StudySplit,
    labels_of_mesh,
    split_of_study,
)
from annotations.sources.iu_xray_release import Report, find_reports, kaggle_name, parse_report
from annotations.sources.listing import (
    PictureIndex,
    Remark,
    Skipped,
    Source,
    SourceImage,
    SourceItem,
    absent_picture,
    check_exists,
    find_file,
    index_pictures,
    picture_key,
)
from annotations.sources.tables import Row, RowError, read_table

REPORTS: Final = "indiana_reports.csv"
PROJECTIONS: Final = "indiana_projections.csv"
FRONTAL: Final = "Frontal"


@dataclass(frozen=True, slots=True)
class Picture:
    """One row of the projections table."""

    uid: str
    name: str
    view: str
    where: str


def load_iu_xray(source: Path) -> Iterator[SourceItem]:
    """The pictures that are there with report, labels and split; the absent ones as skipped.

    Raises:
        UnknownSource: If neither the Kaggle tables nor XML reports are there.
    """
    source = check_exists(source)
    root = source if source.is_dir() else source.parent
    try:
        projections: Path | None = find_file(root, (PROJECTIONS,), "the IU-Xray import")
    except UnknownSource:
        projections = None
    try:
        reports_table = find_file(root, (REPORTS,), "the IU-Xray import")
    except UnknownSource:
        reports_table = None
    if reports_table is not None and projections is not None:
        tables = [projections, reports_table]
        yield from _load(root, projections, _reports_of_table(reports_table), tables)
        return
    xml_reports = find_reports(root)
    if not xml_reports:
        raise UnknownSource(
            f"neither {REPORTS} with {PROJECTIONS} (Kaggle) nor XML reports (NLM release) in "
            f"{root}; give the folder that holds them"
        )
    read = [*xml_reports, *([projections] if projections else [])]
    yield from _load(root, projections, _reports_of_release(xml_reports), read)


def _load(
    root: Path,
    projections: Path | None,
    found_reports: Iterator[Report | Skipped],
    read: list[Path],
) -> Iterator[SourceItem]:
    reports: dict[str, Report] = {}
    for report in found_reports:
        if isinstance(report, Skipped):
            yield report
        else:
            reports[report.uid] = report
    pictures: list[Picture] = []
    for picture in _listed(projections, reports):
        if isinstance(picture, Skipped):
            yield picture
        else:
            pictures.append(picture)
    chosen = first_frontal(pictures)
    split = split_of_study(list(chosen))
    yield _split_remark(split, len(chosen), projections)
    listed_in = PROJECTIONS if projections is not None else "the XML reports"
    choice = Choice(chosen, split, listed_in, root, knows_views=projections is not None)
    yield from _match(pictures, reports, index_pictures(root, read), choice)


@dataclass(frozen=True, slots=True)
class Choice:
    """The study's pictures and split, and where pictures were listed."""

    study_pictures: Mapping[str, str]  # uid -> picture key
    split: StudySplit
    listed_in: str
    root: Path
    knows_views: bool


def _match(
    pictures: list[Picture],
    reports: Mapping[str, Report],
    index: PictureIndex,
    choice: Choice,
) -> Iterator[SourceItem]:
    yield from index.remarks()
    by_key = {kaggle_name(key): path for key, path in index.by_key.items()}
    used: set[Path] = set()
    for picture in pictures:
        path = by_key.get(picture_key(picture.name))
        if path is None:
            yield absent_picture(picture.where, picture.name, choice.listed_in)
            continue
        used.add(path)
        report = reports.get(picture.uid)
        if report is None:
            yield Skipped(picture.where, f"no report with uid {picture.uid}; imported without one")
        yield _image(path, picture, report, choice)
    yield from index.unused(used, choice.root, choice.listed_in)


def _image(path: Path, picture: Picture, report: Report | None, choice: Choice) -> SourceImage:
    is_of_study = choice.study_pictures.get(picture.uid) == picture_key(picture.name)
    is_marked = is_of_study and picture.uid in choice.split.radiologist
    is_labelled = is_of_study or not choice.knows_views
    return SourceImage(
        path=path,
        name=picture_key(picture.name),
        where=picture.where,
        patient=f"iu-xray:{picture.uid}",
        study=f"iu-xray:{picture.uid}",
        view=picture.view,
        history=report.indication if report else "",
        report=_report_text(report) if report else "",
        labels=labels_of_mesh(report.mesh) if report and is_labelled else {},
        split=choice.split.parts.get(picture.uid, "") if is_of_study else "",
        subset=RADIOLOGIST_SUBSET if is_marked else "",
    )


def _report_text(report: Report) -> str:
    parts = {
        "Comparison": report.comparison,
        "Findings": report.findings,
        "Impression": report.impression,
    }
    return "\n".join(f"{title}: {text}" for title, text in parts.items() if text)


def first_frontal(pictures: list[Picture]) -> dict[str, str]:
    """The study's picture of each report: the first frontal one in the order of the table."""
    chosen: dict[str, str] = {}
    for picture in pictures:
        if picture.view == FRONTAL:
            chosen.setdefault(picture.uid, picture_key(picture.name))
    return chosen


def _split_remark(split: StudySplit, n_reports: int, projections: Path | None) -> Remark:
    if projections is None:
        return Remark(
            "labels by the MeSH rule for every picture, no split: XML reports do not say which "
            f"pictures are frontal; put {PROJECTIONS} beside them for the study's choice and split"
        )
    if split.is_of_study:
        return Remark(
            f"labels by the MeSH rule; the study's split of {n_reports:,} reports with a frontal "
            f"picture, 15 of them the radiologist's ('{RADIOLOGIST_SUBSET}')"
        )
    if not split.parts:
        return Remark(
            f"labels by the MeSH rule, no split: {projections.name} lists {n_reports} reports with "
            "a frontal picture, a split takes at least 10"
        )
    return Remark(
        f"labels by the MeSH rule; the split follows the study's rule over {n_reports:,} reports, "
        f"but the study had {N_STUDY_REPORTS:,}, so it is not the study's split"
    )


def _listed(projections: Path | None, reports: Mapping[str, Report]) -> Iterator[Picture | Skipped]:
    """The pictures that the projections table lists, or the reports where there is no table."""
    if projections is None:
        for report in reports.values():
            for name in report.pictures:
                yield Picture(report.uid, kaggle_name(name), "", report.where)
        return
    for row in read_table(projections, ("uid", "filename", "projection")):
        if isinstance(row, Skipped):
            yield row
            continue
        try:
            picture = row.required("uid"), row.required("filename")
        except RowError as error:
            yield Skipped(row.where, str(error))
        else:
            yield Picture(*picture, row.text("projection"), row.where)


def _reports_of_table(table: Path) -> Iterator[Report | Skipped]:
    for row in read_table(table, ("uid", "MeSH", "indication", "findings", "impression")):
        if isinstance(row, Skipped):
            yield row
            continue
        try:
            yield _report_of_row(row)
        except RowError as error:
            yield Skipped(row.where, str(error))


def _report_of_row(row: Row) -> Report:
    return Report(
        uid=row.required("uid"),
        where=row.where,
        mesh=row.required("MeSH"),
        indication=row.text("indication"),
        comparison=row.text("comparison"),
        findings=row.text("findings"),
        impression=row.text("impression"),
    )


def _reports_of_release(paths: list[Path]) -> Iterator[Report | Skipped]:
    for path in paths:
        try:
            yield parse_report(path)
        except RowError as error:
            yield Skipped(path.name, str(error))


SOURCE: Final = Source(
    kind="iu-xray",
    load=load_iu_xray,
    aliases={},
    description="IU-Xray: the Kaggle tables or the NLM release, with reports, labels and split",
    label_source=LABEL_SOURCE,
)
