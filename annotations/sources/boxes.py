"""Rows with one box each, gathered into readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotations.findings import NO_FINDING, normalise_term
from annotations.sources.listing import (
    Skipped,
    SourceBox,
    SourceImage,
    SourceItem,
    SourceReading,
    absent_picture,
    index_pictures,
    relative_name,
)
from annotations.sources.tables import Row, RowError


@dataclass(slots=True)
class ReadingDraft:
    """What the rows read so far say about one picture by one reader."""

    where: str
    boxes: list[SourceBox] = field(default_factory=list)
    no_finding_at: str = ""


@dataclass(slots=True)
class BoxRows:
    """Rows of a box table by picture and reader, in the order of the file."""

    pictures: dict[str, dict[str, ReadingDraft]] = field(default_factory=dict)

    def add_box(self, picture: str, reader: str, box: SourceBox) -> None:
        """Keep one box."""
        self._draft(picture, reader, box.where).boxes.append(box)

    def add_no_finding(self, picture: str, reader: str, where: str) -> None:
        """Keep the statement that nothing is seen."""
        self._draft(picture, reader, where).no_finding_at = where

    def _draft(self, picture: str, reader: str, where: str) -> ReadingDraft:
        return self.pictures.setdefault(picture, {}).setdefault(reader, ReadingDraft(where))

    def readings(self, picture: str) -> tuple[SourceReading, ...]:
        """One reading per reader; boxes count more than a "No finding" beside them."""
        return tuple(
            SourceReading(
                reader=reader,
                boxes=tuple(draft.boxes),
                no_finding=not draft.boxes,
                where=draft.where,
            )
            for reader, draft in self.pictures.get(picture, {}).items()
        )

    def contradictions(self, picture: str) -> list[Skipped]:
        """The "No finding" rows of readers who also drew a box on the picture."""
        return [
            contradiction(draft.no_finding_at, len(draft.boxes))
            for draft in self.pictures.get(picture, {}).values()
            if draft.no_finding_at and draft.boxes
        ]

    def places(self, picture: str) -> list[str]:
        """Where the rows about this picture stand."""
        drafts = self.pictures.get(picture, {}).values()
        rows = [box.where for draft in drafts for box in draft.boxes]
        return rows + [draft.no_finding_at for draft in drafts if draft.no_finding_at]


def gather_rows(
    table: Iterable[Row | Skipped], add_row: Callable[[BoxRows, Row], None], rows: BoxRows
) -> Iterator[Skipped]:
    """Fill ``rows`` from the table and give the rows that could not be used.

    Args:
        table: As ``read_table`` gives it.
        add_row: Puts one row in; raises ``RowError`` when it cannot.
        rows: Where they go.
    """
    for row in table:
        if isinstance(row, Skipped):
            yield row
            continue
        try:
            add_row(rows, row)
        except RowError as error:
            yield Skipped(row.where, str(error))


def match_pictures(
    rows: BoxRows,
    root: Path,
    tables: Sequence[Path],
    patient_of: Callable[[str], str | None] = lambda _: None,
    *,
    said: Sequence[Path] = (),
) -> Iterator[SourceItem]:
    """The pictures below a folder with their readings: those of the table first, then the others.

    Args:
        rows: Rows by the picture's name without suffix.
        root: Folder in which the pictures lie anywhere.
        tables: The files that the rows come from.
        patient_of: The patient that a file name tells, where it does.
        said: Other files that the report speaks of already.
    """
    table = ", ".join(path.name for path in tables)
    pictures = index_pictures(root, [*tables, *said])
    yield from pictures.remarks()
    for key in rows.pictures:
        if pictures.find(key) is None:
            yield from (absent_picture(where, key, table) for where in rows.places(key))
        else:
            yield from rows.contradictions(key)
    others = (key for key in pictures.by_key if key not in rows.pictures)
    for key in (*rows.pictures, *others):
        path = pictures.find(key)
        if path is not None:
            places = rows.places(key)
            yield SourceImage(
                path=path,
                name=path.name,
                where=places[0] if places else relative_name(path, root),
                patient=patient_of(path.name),
                readings=rows.readings(key),
            )


def contradiction(where: str, n_boxes: int) -> Skipped:
    """The entry for a "No finding" that stands beside boxes."""
    return Skipped(
        where, f"'No finding' beside {n_boxes} boxes of the same reader; the boxes count"
    )


def is_no_finding(term: str) -> bool:
    """Whether the term says that nothing was found."""
    return normalise_term(term) == normalise_term(NO_FINDING)


def corners_of(x_y_width_height: Sequence[float]) -> tuple[float, float, float, float]:
    """Corners of a box given by its top-left corner and size."""
    x, y, width, height = x_y_width_height
    return (x, y, x + width, y + height)
