"""Patients, studies and images; the worklist."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Unpack, cast

from annotations.errors import StoreError, UnknownRecord
from annotations.records import ImageRecord, NewImage, WorklistPage
from annotations.store.connection import Connections
from annotations.store.encoding import canonical_json, now
from annotations.store.vocabulary import Vocabulary
from annotations.store.worklist import (
    WorklistFilters,
    commit_times,
    line_of,
    matching,
    neighbour_of,
    place_of,
    worklist_page,
)
from annotations.texts import is_valid_text

SYNTHETIC: Final = "synthetic"  # the flag of a picture that was made up
_COLUMNS: Final = (
    "image_id", "path", "origin", "name", "source", "sha256", "pixel_sha256", "height", "width",
    "bits", "photometric", "modality", "view", "patient_hash", "study_hash", "history", "report",
)  # fmt: skip


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

    def count_real(self) -> int:
        """How many images there are that were not made up by this program."""
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT count(*) FROM images WHERE NOT EXISTS "
                "(SELECT 1 FROM json_each(images.flags) WHERE value = ?)",
                (SYNTHETIC,),
            ).fetchone()
        return int(row[0])

    def sources(self) -> list[str]:
        """The names of the sources that the images came from."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT DISTINCT source FROM images ORDER BY source")
            return [row[0] for row in rows]

    def views(self) -> list[str]:
        """The views (PA, AP, LATERAL ...) that the images have, without the unknown one."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT DISTINCT view FROM images ORDER BY view")
            return [row[0] for row in rows if row[0]]

    def worklist(
        self, reader: str, *, limit: int = 50, offset: int = 0, **filters: Unpack[WorklistFilters]
    ) -> WorklistPage:
        """Some lines of the worklist as this reader sees it; nothing of other readers shows.

        In the reader's own order where the study gives one, else in that of the import.

        Raises:
            StoreError: For an unknown status or a negative limit or offset.
            UnknownFinding: For an unknown finding.
        """
        if limit < 0 or offset < 0:
            raise StoreError(f"limit {limit} and offset {offset} must not be negative")
        known = self._vocabulary.findings()
        with self._connections.read() as connection:
            worklist = matching(connection, reader, filters, known)
            return worklist_page(connection, worklist, limit=limit, offset=offset)

    def position(self, reader: str, case_id: str, **filters: Unpack[WorklistFilters]) -> int | None:
        """How many matching lines stand before this case; None when it does not match itself.

        Raises:
            UnknownRecord: If there is no such image.
        """
        known = self._vocabulary.findings()
        with self._connections.read() as connection:
            worklist = matching(connection, reader, filters, known)
            place = place_of(connection, worklist, case_id)
            return None if place is None else line_of(connection, worklist, place)

    def neighbour(
        self, reader: str, case_id: str, step: int, **filters: Unpack[WorklistFilters]
    ) -> str | None:
        """The matching case ``step`` lines after (before, if negative) this one, or None.

        The case itself need not match: after its status changed, "next" still works.

        Raises:
            UnknownRecord: If there is no such image.
        """
        if step == 0:
            raise StoreError(
                "step 0 leads nowhere; give 1 for the next image, -1 for the one before"
            )
        known = self._vocabulary.findings()
        with self._connections.read() as connection:
            worklist = matching(connection, reader, filters, known)
            place = place_of(connection, worklist, case_id)
            return None if place is None else neighbour_of(connection, worklist, place, step)

    def first(self, reader: str, **filters: Unpack[WorklistFilters]) -> str | None:
        """The first matching case, or None; nothing is counted."""
        known = self._vocabulary.findings()
        with self._connections.read() as connection:
            return neighbour_of(connection, matching(connection, reader, filters, known), -1, 1)

    def commit_times(self, reader: str, limit: int = 31) -> list[str]:
        """When this reader committed new cases last, newest first (ISO 8601, UTC)."""
        with self._connections.read() as connection:
            return commit_times(connection, reader, limit)


def find_image(connection: sqlite3.Connection, image_id: str) -> ImageRecord:
    """The image with this id, in the caller's transaction; UnknownRecord when there is none."""
    row = connection.execute("SELECT * FROM images WHERE image_id = ?", (image_id,)).fetchone()
    if row is None:
        raise UnknownRecord(
            f"there is no image '{image_id}' in this workspace; reload the worklist"
        )
    return _image(row)


def _by_origin(connection: sqlite3.Connection, origin: str) -> ImageRecord | None:
    row = connection.execute("SELECT * FROM images WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else _image(row)


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
