"""The worklist in SQL: which images match a reader's filters, and their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypedDict, get_args

from annotations.cases import FIRST, case_id_of, parse_case
from annotations.errors import StoreError, UnknownRecord
from annotations.findings import NO_FINDING, check_finding
from annotations.records import ReadingStatus, WorklistPage, WorklistRow

COMMON_FROM: Final = 2000  # readings of one status; a list of fewer is searched faster than lines
NEWEST_COMMITS: Final = 2000  # among these a reader's last ones are looked for


class WorklistFilters(TypedDict, total=False):
    """Which lines of the worklist are asked for; each may be left out."""

    status: str | None
    source: str | None
    view: str | None
    project: str | None  # a named selection of images; see Labels.projects
    finding: str | None  # marked by this reader, never by another one
    read_by: str | None  # committed by this other reader: only for who may know who read what
    search: str  # part of the image's name, in any case


@dataclass(frozen=True, slots=True)
class Lines:
    """One reader's worklist as SQL: what it is made of, before any filter.

    Fixed text only; what a reader gave goes in as a parameter.
    """

    whole: str  # every line; enough for a question without a filter
    table: str  # with the images, for filters
    seq: str
    place: str
    occasion: str
    shown_name: str  # of a line of ``_PAGE_SQL``
    name_key: str


IMPORTED: Final = Lines(
    whole="images",
    table="images",
    seq="images.seq",
    place="images.seq",
    occasion="1",
    shown_name="images.name",
    name_key="name_key",
)
ORDERED: Final = Lines(
    whole="worklist_orders AS ordered",
    # CROSS JOIN keeps SQLite from sorting: the lines are read in the order of their place. The
    # index holds all that a filter asks for, and is smaller than the table by far.
    table=(
        "worklist_orders AS ordered CROSS JOIN images INDEXED BY images_in_order "
        "ON images.seq = ordered.seq"
    ),
    seq="ordered.seq",
    place="ordered.place",
    occasion="ordered.occasion",
    shown_name="images.name",
    name_key="images.name_key",
)
# A file's name would tell which case comes a second time.
UNNAMED: Final = replace(
    ORDERED,
    shown_name="'Case ' || (page.place + 1)",
    name_key="('case ' || (ordered.place + 1))",
)


def lines_of(connection: sqlite3.Connection, reader: str) -> Lines:
    """The reader's own order where there is one, else that of the import."""
    row = connection.execute(
        "SELECT max(occasion) FROM worklist_orders WHERE reader = ?", (reader,)
    ).fetchone()
    if row[0] is None:
        return IMPORTED
    return UNNAMED if row[0] > FIRST else ORDERED


@dataclass(frozen=True, slots=True)
class Worklist:
    """The lines of one reader that match what was asked for."""

    lines: Lines
    clauses: tuple[str, ...]
    values: dict[str, object]
    n_matching: int | None  # where it is known without a look at each line

    @property
    def table(self) -> str:
        """What the matching lines are selected from, with the condition."""
        if not self.clauses:
            return self.whole
        clauses = " AND ".join(self.clauses).replace("{occasion}", self.lines.occasion)
        return f"{self.lines.table} WHERE {self._own} AND {clauses}"

    @property
    def whole(self) -> str:
        """What all lines of the reader are selected from."""
        return f"{self.lines.whole} WHERE {self._own}"

    @property
    def _own(self) -> str:
        return "TRUE" if self.lines is IMPORTED else "ordered.reader = :reader"


def matching(
    connection: sqlite3.Connection, reader: str, filters: WorklistFilters, known: Sequence[str]
) -> Worklist:
    """The worklist of a reader, narrowed.

    Raises:
        StoreError: For an unknown status.
        UnknownFinding: For an unknown finding.
    """
    lines = lines_of(connection, reader)
    clauses, values = list[str](), dict[str, object](reader=reader)
    n_of_status = None
    for name in ("source", "view", "project", "read_by"):
        value = filters.get(name)
        if value:
            clauses.append(_CLAUSES[name])
            values[name] = value
    status = filters.get("status")
    if status:
        if status not in get_args(ReadingStatus):
            statuses = ", ".join(get_args(ReadingStatus))
            raise StoreError(f"unknown status '{status}'; known: {statuses}")
        values["status"] = status
        n_of_status = _count_of_status(connection, values)
        clauses.append(_status_clause(status, is_common=n_of_status > COMMON_FROM))
    finding = filters.get("finding")
    if finding:
        name = check_finding(finding, known)
        clauses.append(_NO_FINDING_CLAUSE if name == NO_FINDING else _FINDING_CLAUSE)
        values["finding"] = name
    search = filters.get("search", "").strip()
    if search:
        # Not LIKE: here '%' and '_' of a file name are themselves, and no pattern is too long.
        clauses.append(f"instr({lines.name_key}, :search) > 0")
        values["search"] = search.casefold()
    is_told = lines is IMPORTED and len(clauses) == 1
    return Worklist(lines, tuple(clauses), values, n_of_status if is_told else None)


def _count_of_status(connection: sqlite3.Connection, values: dict[str, object]) -> int:
    """How many images have this status for the reader, from their readings alone."""
    if values["status"] != "new":
        return _count(connection, _OF_STATUS, values)
    return _count(connection, "images", values) - _count(connection, _BEGUN, values)


def _count(connection: sqlite3.Connection, what: str, values: dict[str, object]) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {what}", values).fetchone()[0])


def worklist_page(
    connection: sqlite3.Connection, worklist: Worklist, *, limit: int, offset: int
) -> WorklistPage:
    """Some lines of the worklist, and how many there are."""
    lines, values = worklist.lines, worklist.values
    n_images = n_matching = _count(connection, worklist.whole, values)
    if worklist.clauses:
        known = worklist.n_matching
        n_matching = _count(connection, worklist.table, values) if known is None else known
    rows = []
    if offset < n_matching:
        page = _PAGE_SQL.format(
            name=lines.shown_name,
            seq=lines.seq,
            place=lines.place,
            occasion=lines.occasion,
            table=worklist.table,
        )
        rows = connection.execute(page, {**values, "limit": limit, "offset": offset}).fetchall()
    return WorklistPage(
        rows=tuple(_row(row) for row in rows),
        n_matching=n_matching,
        n_images=n_images,
        n_read=_count(connection, _READ if lines is IMPORTED else _READ_TWICE, values),
    )


def _row(row: sqlite3.Row) -> WorklistRow:
    values = dict(row)
    values["image_id"] = case_id_of(values["image_id"], values.pop("occasion"))
    return WorklistRow(**values)


def line_of(connection: sqlite3.Connection, worklist: Worklist, place: int) -> int | None:
    """How many matching lines stand before this place; None when it does not match itself."""
    own = worklist.lines.place
    row = connection.execute(
        f"SELECT count(*), max({own}) FROM {worklist.table} AND {own} <= :place",
        {**worklist.values, "place": place},
    ).fetchone()
    return int(row[0]) - 1 if row[1] == place else None


def neighbour_of(
    connection: sqlite3.Connection, worklist: Worklist, place: int, step: int
) -> str | None:
    """The matching case ``step`` lines after (before, if negative) this place, or None."""
    if worklist.n_matching == 0:
        return None
    own = worklist.lines.place
    side, order = (">", "ASC") if step > 0 else ("<", "DESC")
    row = connection.execute(
        f"SELECT {worklist.lines.seq}, {worklist.lines.occasion} FROM {worklist.table} "
        f"AND {own} {side} :place ORDER BY {own} {order} LIMIT 1 OFFSET :skip",
        {**worklist.values, "place": place, "skip": abs(step) - 1},
    ).fetchone()
    if row is None:
        return None
    image = connection.execute("SELECT image_id FROM images WHERE seq = ?", (row[0],)).fetchone()
    return case_id_of(image[0], row[1])


def place_of(connection: sqlite3.Connection, worklist: Worklist, case_id: str) -> int | None:
    """Where a case stands in the reader's order; None when it is not in it.

    Raises:
        UnknownRecord: If there is no such image.
    """
    case = parse_case(case_id)
    row = connection.execute(
        "SELECT seq FROM images WHERE image_id = ?", (case.image_id,)
    ).fetchone()
    if row is None:
        raise UnknownRecord(f"there is no image '{case_id}' in this workspace; reload the worklist")
    if worklist.lines is IMPORTED:
        return int(row[0]) if case.occasion == FIRST else None
    found = connection.execute(
        "SELECT place FROM worklist_orders WHERE reader = ? AND seq = ? AND occasion = ?",
        (worklist.values["reader"], row[0], case.occasion),
    ).fetchone()
    return None if found is None else int(found[0])


def commit_times(connection: sqlite3.Connection, reader: str, limit: int) -> list[str]:
    """When this reader committed new cases last, newest first; imported readings do not count."""
    rows = connection.execute(_TIMES_SQL, (NEWEST_COMMITS, reader, limit))
    return [str(row[0]) for row in rows]


# By rowid, so that a large workspace is not searched through for each page of the worklist.
_TIMES_SQL: Final = """
    SELECT newest.committed_at
    FROM (SELECT * FROM commits ORDER BY rowid DESC LIMIT ?) AS newest
    JOIN readings USING (reading_id)
    WHERE readings.reader = ? AND readings.occasion > 0
        AND newest.commit_number = 1 AND newest.imported = 0
    ORDER BY newest.committed_at DESC LIMIT ?"""
_READ_TWICE: Final = (
    "readings WHERE reader = :reader AND status IN ('committed', 'revised') AND occasion > 0"
)
_READ: Final = f"{_READ_TWICE} AND occasion = 1"
_BEGUN: Final = "readings WHERE reader = :reader AND occasion = 1"
_OF_STATUS: Final = f"{_BEGUN} AND status = :status"
# The page is cut out first, from an index alone; the joins run for its lines only.
_PAGE_SQL: Final = """
    SELECT images.image_id, {name} AS name, images.source, images.view, page.occasion,
        coalesce(readings.status, 'new') AS status,
        (SELECT count(*) FROM regions WHERE regions.reading_id = readings.reading_id) AS n_regions
    FROM (
        SELECT {seq} AS seq, {place} AS place, {occasion} AS occasion
        FROM {table} ORDER BY {place} LIMIT :limit OFFSET :offset
    ) AS page
    JOIN images USING (seq)
    LEFT JOIN readings ON readings.image_id = images.image_id
        AND readings.reader = :reader AND readings.occasion = page.occasion
    ORDER BY page.place"""
_CLAUSES: Final = {
    "source": "source = :source",
    "view": "view = :view",
    "project": "image_id IN (SELECT image_id FROM splits WHERE splits.source = :project)",
    "read_by": (
        "image_id IN (SELECT image_id FROM readings "
        "WHERE reader = :read_by AND commits > 0 AND occasion = 1)"
    ),
}
# Pairs, so that the inner question is asked once and not again for each line.
_READ_AS: Final = "(image_id, {occasion}) IN (SELECT readings.image_id, readings.occasion FROM "
_FINDING_CLAUSE: Final = (
    f"{_READ_AS} regions JOIN readings USING (reading_id) "
    "WHERE regions.finding = :finding AND readings.reader = :reader)"
)
_NO_FINDING_CLAUSE: Final = f"{_READ_AS} readings WHERE reader = :reader AND no_finding = 1)"


def _status_clause(status: str, *, is_common: bool) -> str:
    own = (
        "EXISTS (SELECT 1 FROM readings WHERE readings.image_id = images.image_id "
        "AND readings.reader = :reader AND readings.occasion = {occasion}"
    )
    if status == "new":
        return f"NOT {own})"
    if is_common:  # then a page is full after a few lines; else the list of them is short
        return f"{own} AND readings.status = :status)"
    return f"{_READ_AS} readings WHERE reader = :reader AND status = :status)"
