"""Patients, studies and images; the worklist."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypedDict, Unpack, cast, get_args

from annotations.errors import StoreError, UnknownRecord
from annotations.findings import NO_FINDING, check_finding
from annotations.records import (
    ImageRecord,
    NewImage,
    ReadingStatus,
    WorklistPage,
    WorklistRow,
)
from annotations.store.connection import Connections
from annotations.store.encoding import canonical_json, now
from annotations.store.vocabulary import Vocabulary
from annotations.texts import is_valid_text

_COLUMNS: Final = (
    "image_id", "path", "origin", "name", "source", "sha256", "pixel_sha256", "height", "width",
    "bits", "photometric", "modality", "view", "patient_hash", "study_hash", "history", "report",
)  # fmt: skip


class WorklistFilters(TypedDict, total=False):
    """Which lines of the worklist are asked for; each may be left out."""

    status: str | None
    source: str | None
    finding: str | None  # marked by this reader, never by another one
    search: str  # part of the image's name, in any case


class Images:
    """The stored images, in the order in which they came."""

    def __init__(self, connections: Connections, vocabulary: Vocabulary, root: Path) -> None:
        """The images of one database.

        Args:
            connections: To the database.
            vocabulary: Its findings.
            root: The workspace. Paths below it are stored relative to it, so that a workspace
                that was moved still finds the pictures that were copied into it.
        """
        self._connections = connections
        self._vocabulary = vocabulary
        self._root = root.resolve()

    def add(self, new: NewImage) -> tuple[ImageRecord, bool]:
        """The stored image, and whether it is new; the same file again changes nothing.

        Raises:
            StoreError: If another file content was imported from the same place before.
        """
        _check_text(new)
        with self._connections.write() as connection:
            known = _by_origin(connection, new.origin)
            if known is None:
                return self._placed(_insert(connection, self._portable(new))), True
        if known.sha256 != new.sha256:
            raise StoreError(
                f"the file {new.origin} changed since it was imported on {known.added_at[:10]} "
                f"(SHA-256 {known.sha256[:12]}... then, {new.sha256[:12]}... now); its readings "
                "belong to the old picture: restore it, or import the new one under another name"
            )
        return self._placed(known), False

    def _portable(self, new: NewImage) -> NewImage:
        path = Path(new.path)
        # The workspace may be open under a link; a picture in it that is a link stays one.
        path = path.parent.resolve() / path.name
        if not path.is_relative_to(self._root):
            return new
        return replace(new, path=path.relative_to(self._root).as_posix())

    def _placed(self, image: ImageRecord) -> ImageRecord:
        return replace(image, path=str(self._root / image.path))

    def get(self, image_id: str) -> ImageRecord:
        """The image with this id.

        Raises:
            UnknownRecord: If there is none.
        """
        with self._connections.read() as connection:
            return self._placed(find_image(connection, image_id))

    def by_origin(self, origin: str) -> ImageRecord | None:
        """The image that was imported from this absolute path, if one was."""
        with self._connections.read() as connection:
            found = _by_origin(connection, origin)
        return None if found is None else self._placed(found)

    def all(self) -> list[ImageRecord]:
        """Every image in the order in which they came."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT * FROM images ORDER BY seq")
            return [self._placed(_image(row)) for row in rows]

    def names(self) -> dict[str, str]:
        """For each image, in the order in which they came, what the worklist shows."""
        with self._connections.read() as connection:
            return dict(
                tuple(row)
                for row in connection.execute("SELECT image_id, name FROM images ORDER BY seq")
            )

    def count(self) -> int:
        """How many images there are."""
        with self._connections.read() as connection:
            return int(connection.execute("SELECT count(*) FROM images").fetchone()[0])

    def sources(self) -> list[str]:
        """The names of the sources that the images came from."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT DISTINCT source FROM images ORDER BY source")
            return [row[0] for row in rows]

    def worklist(
        self, reader: str, *, limit: int = 50, offset: int = 0, **filters: Unpack[WorklistFilters]
    ) -> WorklistPage:
        """Some lines of the worklist as this reader sees it; nothing of other readers shows.

        Raises:
            StoreError: For an unknown status or a negative limit or offset.
            UnknownFinding: For an unknown finding.
        """
        if limit < 0 or offset < 0:
            raise StoreError(f"limit {limit} and offset {offset} must not be negative")
        where, values = self._where(reader, filters)
        with self._connections.read() as connection:
            rows = connection.execute(
                _PAGE_SQL.format(where=where),
                {**values, "reader": reader, "limit": limit, "offset": offset},
            ).fetchall()
            matching = connection.execute(f"SELECT count(*) FROM images {where}", values).fetchone()
            images = connection.execute("SELECT count(*) FROM images").fetchone()
            read = connection.execute(_N_READ_SQL, (reader,)).fetchone()
        return WorklistPage(
            rows=tuple(WorklistRow(**dict(row)) for row in rows),
            n_matching=matching[0],
            n_images=images[0],
            n_read=read[0],
        )

    def position(
        self, reader: str, image_id: str, **filters: Unpack[WorklistFilters]
    ) -> int | None:
        """How many matching lines stand before this image; None when it does not match itself.

        Raises:
            UnknownRecord: If there is no such image.
        """
        where, values = self._where(reader, filters)
        with self._connections.read() as connection:
            values["seq"] = _seq(connection, image_id)
            row = connection.execute(
                f"SELECT count(*), max(seq) FROM images {where} AND seq <= :seq", values
            ).fetchone()
        return int(row[0]) - 1 if row[1] == values["seq"] else None

    def neighbour(
        self, reader: str, image_id: str, step: int, **filters: Unpack[WorklistFilters]
    ) -> str | None:
        """The matching image ``step`` lines after (before, if negative) this one, or None.

        The image itself need not match: after its status changed, "next" still works.

        Raises:
            UnknownRecord: If there is no such image.
        """
        if step == 0:
            raise StoreError(
                "step 0 leads nowhere; give 1 for the next image, -1 for the one before"
            )
        where, values = self._where(reader, filters)
        side, order = (">", "ASC") if step > 0 else ("<", "DESC")
        with self._connections.read() as connection:
            values["seq"] = _seq(connection, image_id)
            row = connection.execute(
                f"SELECT image_id FROM images {where} AND seq {side} :seq "
                f"ORDER BY seq {order} LIMIT 1 OFFSET :skip",
                {**values, "skip": abs(step) - 1},
            ).fetchone()
        return str(row[0]) if row else None

    def _where(self, reader: str, filters: WorklistFilters) -> tuple[str, dict[str, object]]:
        """The WHERE clause and its parameters; only fixed text goes into the SQL itself."""
        clauses, values = ["TRUE"], dict[str, object]()
        status = filters.get("status")
        if status:
            clauses.append(_status_clause(status))
            values |= {"reader": reader, "status": status}
        if filters.get("source"):
            clauses.append("source = :source")
            values["source"] = filters["source"]
        finding = filters.get("finding")
        if finding:
            name = check_finding(finding, self._vocabulary.findings())
            clauses.append(_NO_FINDING_CLAUSE if name == NO_FINDING else _FINDING_CLAUSE)
            values |= {"reader": reader, "finding": name}
        search = filters.get("search", "").strip()
        if search:
            # Not LIKE: here '%' and '_' of a file name are themselves, and no pattern is too long.
            clauses.append("instr(name_key, :search) > 0")
            values["search"] = search.casefold()
        return "WHERE " + " AND ".join(clauses), values


def find_image(connection: sqlite3.Connection, image_id: str) -> ImageRecord:
    """The image with this id, in the caller's transaction; UnknownRecord when there is none."""
    row = connection.execute("SELECT * FROM images WHERE image_id = ?", (image_id,)).fetchone()
    if row is None:
        raise UnknownRecord(
            f"there is no image '{image_id}' in this workspace; reload the worklist"
        )
    return _image(row)


_N_READ_SQL: Final = (
    "SELECT count(*) FROM readings WHERE reader = ? AND status IN ('committed', 'revised')"
)
# The page is cut out first, from an index alone; the joins run for its lines only.
_PAGE_SQL: Final = """
    SELECT images.image_id, images.name, images.source, images.view,
        coalesce(readings.status, 'new') AS status,
        (SELECT count(*) FROM regions WHERE regions.reading_id = readings.reading_id) AS n_regions
    FROM (SELECT seq FROM images {where} ORDER BY seq LIMIT :limit OFFSET :offset) AS page
    JOIN images USING (seq)
    LEFT JOIN readings ON readings.image_id = images.image_id AND readings.reader = :reader
    ORDER BY page.seq"""
_FINDING_CLAUSE: Final = (
    "image_id IN (SELECT readings.image_id FROM regions JOIN readings USING (reading_id) "
    "WHERE regions.finding = :finding AND readings.reader = :reader)"
)
_NO_FINDING_CLAUSE: Final = (
    "image_id IN (SELECT image_id FROM readings WHERE reader = :reader AND no_finding = 1)"
)


def _status_clause(status: str) -> str:
    known = get_args(ReadingStatus)
    if status not in known:
        raise StoreError(f"unknown status '{status}'; known: {', '.join(known)}")
    if status == "new":
        return (
            "NOT EXISTS (SELECT 1 FROM readings WHERE readings.image_id = images.image_id "
            "AND readings.reader = :reader)"
        )
    return "image_id IN (SELECT image_id FROM readings WHERE reader = :reader AND status = :status)"


def _by_origin(connection: sqlite3.Connection, origin: str) -> ImageRecord | None:
    row = connection.execute("SELECT * FROM images WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else _image(row)


def _seq(connection: sqlite3.Connection, image_id: str) -> int:
    row = connection.execute("SELECT seq FROM images WHERE image_id = ?", (image_id,)).fetchone()
    if row is None:
        raise UnknownRecord(
            f"there is no image '{image_id}' in this workspace; reload the worklist"
        )
    return int(row[0])


def _check_text(new: NewImage) -> None:
    for what in ("path", "origin", "name", "history", "report"):
        text = getattr(new, what)
        if not text and what in ("path", "origin", "name"):
            raise StoreError(f"an image needs a {what}; it was empty")
        if not is_valid_text(text):
            raise StoreError(
                f"the {what} {text!r} is not valid UTF-8; rename the file and import it again"
            )


def _insert(connection: sqlite3.Connection, new: NewImage) -> ImageRecord:
    added_at = now()
    connection.execute(
        "INSERT INTO patients VALUES (?, ?) ON CONFLICT DO NOTHING", (new.patient_hash, added_at)
    )
    connection.execute(
        "INSERT INTO studies VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (new.study_hash, new.patient_hash, added_at),
    )
    row_mm, column_mm = new.spacing_mm or (None, None)
    values: dict[str, object] = {
        **{name: getattr(new, name) for name in _COLUMNS if name != "image_id"},
        "image_id": uuid.uuid4().hex,
        "name_key": new.name.casefold(),
        "spacing_row_mm": row_mm,
        "spacing_column_mm": column_mm,
        "flags": canonical_json(list(new.flags)),
        "facts": canonical_json(dict(new.facts)),
        "added_at": added_at,
    }
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO images ({names}) VALUES ({marks})", values)
    return find_image(connection, str(values["image_id"]))


def _image(row: sqlite3.Row) -> ImageRecord:
    row_mm, column_mm = row["spacing_row_mm"], row["spacing_column_mm"]
    return ImageRecord(
        **{name: row[name] for name in _COLUMNS},
        spacing_mm=None if row_mm is None or column_mm is None else (row_mm, column_mm),
        flags=tuple(cast(Sequence[str], json.loads(row["flags"]))),
        facts=cast(dict[str, str], json.loads(row["facts"])),
        added_at=row["added_at"],
    )
