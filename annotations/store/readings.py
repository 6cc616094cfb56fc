"""Readings: the working copy, its edits, commits and reveals. One transaction per change."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from annotations.errors import IncompleteReading, ReadingLocked, StaleEdit, StoreError
from annotations.findings import NO_FINDING, check_finding
from annotations.records import CommittedReading, Edit, ReaderKind, Reading, Region
from annotations.store import commits, edits
from annotations.store.connection import Connections
from annotations.store.edit_log import LogEntry, append
from annotations.store.encoding import now
from annotations.store.images import find_image
from annotations.store.readers import ensure_reader
from annotations.store.regions import check_region, content_sha256, region_json
from annotations.store.vocabulary import Vocabulary
from annotations.store.working_copy import create_reading, load_reading, put_region, set_columns

SEEN_UNREAD: Final = "seen unread"


class Readings:
    """What readers said: one working copy per image and reader, and its committed versions."""

    def __init__(self, connections: Connections, vocabulary: Vocabulary) -> None:
        self._connections = connections
        self._vocabulary = vocabulary

    def get(self, image_id: str, reader: str) -> Reading:
        """The reading as it stands; status "new" and version 0 when nothing was saved yet.

        Raises:
            UnknownRecord: If there is no such image.
        """
        with self._connections.read() as connection:
            find_image(connection, image_id)
            return load_reading(connection, image_id, reader)

    def apply(self, edit: Edit, reader: str) -> Reading:
        """The reading after this edit; an edit that was applied before changes nothing.

        Raises:
            UnknownRecord: If there is no such image, or no such region to delete.
            ReadingLocked: If the reading is committed and was not reopened.
            StaleEdit: If it was made on another version; it holds the present reading.
            UnknownFinding: With the known findings.
            InvalidRegion: If the region may not be saved, or boxes and No Finding would meet.
        """
        edits.check_edit(edit)
        with self._connections.write() as connection:
            known = self._vocabulary.findings()
            image = find_image(connection, edit.image_id)
            if edits.was_applied(connection, edit, reader):
                return load_reading(connection, edit.image_id, reader)
            ensure_reader(connection, reader, "person")
            current = load_reading(connection, edit.image_id, reader)
            _check_open(current)
            _check_version(current, edit.base_version)
            if not current.reading_id:
                current = create_reading(connection, current)
            edits.write_edit(connection, edit, current, image.size, known)
            return load_reading(connection, edit.image_id, reader)

    def commit(self, image_id: str, reader: str, *, base_version: int) -> Reading:
        """The reading after its present state was kept as a version that never changes.

        Raises:
            IncompleteReading: If it has no region and does not say No Finding.
            ReadingLocked: If it is committed already and was not reopened.
            StaleEdit: If it was changed since ``base_version``.
        """
        with self._connections.write() as connection:
            find_image(connection, image_id)
            current = load_reading(connection, image_id, reader)
            _check_open(current)
            _check_version(current, base_version)
            if not current.regions and not current.no_finding:
                raise IncompleteReading(
                    f"this reading has no box and does not say '{NO_FINDING}'; mark a finding or "
                    f"tick '{NO_FINDING}' before the commit"
                )
            seen = _seen_unread(connection, image_id, reader)
            _keep(connection, current, _snapshot(current, seen_unread=seen))
            return load_reading(connection, image_id, reader)

    def reopen(self, image_id: str, reader: str) -> Reading:
        """The reading, open for a correction; its committed versions stay as they are."""
        with self._connections.write() as connection:
            find_image(connection, image_id)
            current = load_reading(connection, image_id, reader)
            if current.is_open:
                return current
            set_columns(connection, current.reading_id, is_open=1)
            _log(connection, "reopen", current, {"commits": current.commits})
            return load_reading(connection, image_id, reader)

    def reveal(self, image_id: str, reader: str) -> Reading:
        """The reading, with the moment recorded at which a heatmap was first shown.

        Raises:
            ReadingLocked: Before the first commit.
        """
        with self._connections.write() as connection:
            find_image(connection, image_id)
            current = load_reading(connection, image_id, reader)
            if current.commits == 0:
                raise ReadingLocked("the heatmap stays hidden until this reading is committed")
            if current.revealed_at is not None:
                return current
            set_columns(connection, current.reading_id, revealed_at=now())
            _log(connection, "reveal", current, {"commits": current.commits})
            return load_reading(connection, image_id, reader)

    def note_seen_unread(self, image_id: str, reader: str) -> None:
        """Keep that this reader saw a heatmap of an image without having committed a reading.

        An auditor may look at others' readings; what the same person commits on that image
        later is not blinded.
        """
        with self._connections.write() as connection:
            find_image(connection, image_id)
            if not _seen_unread(connection, image_id, reader):
                append(connection, LogEntry(SEEN_UNREAD, reader, image_id, image_id=image_id))

    def import_committed(
        self,
        image_id: str,
        reader: str,
        kind: ReaderKind,
        regions: Sequence[Region],
        no_finding: bool,
        *,
        blinded: bool = True,
    ) -> bool:
        """Whether a new committed version was kept; False when one says the same already.

        Args:
            image_id: The image that was read.
            reader: The reader; added as ``kind`` when unknown.
            kind: "imported" or "synthetic".
            regions: With or without ids ("" gets one). Findings must be known to the store.
            no_finding: Whether the reader said No Finding.
            blinded: Whether the reader had seen no heatmap.

        Raises:
            IncompleteReading: If it says nothing.
            InvalidRegion: If a region may not be saved.
            StoreError: If the reader made a different reading of this image here.
        """
        known = self._vocabulary.findings()
        with self._connections.write() as connection:
            size = find_image(connection, image_id).size
            checked = tuple(check_region(_with_id(region), size, known) for region in regions)
            _check_statement(checked, no_finding)
            current = load_reading(connection, image_id, reader)
            digest = content_sha256(no_finding, checked)
            if commits.content_known(connection, current.reading_id, digest):
                return False
            if current.reading_id and not current.imported:
                raise StoreError(
                    f"reader '{reader}' has an own reading of image {image_id} and the imported "
                    "one differs from it; import it under another reader's name"
                )
            ensure_reader(connection, reader, kind)
            if not current.reading_id:
                current = create_reading(connection, replace(current, imported=True))
            said = replace(current, no_finding=no_finding, regions=checked)
            _replace_working_copy(connection, said)
            _keep(connection, said, replace(_snapshot(said), imported=True, blinded=blinded))
            return True

    def committed(
        self,
        *,
        latest: bool = False,
        blinded_only: bool = True,
        findings: Sequence[str] | None = None,
        readers: Sequence[str] | None = None,
        image_ids: Sequence[str] | None = None,
    ) -> list[CommittedReading]:
        """One committed version of each reading: the first blinded one, or the last if ``latest``.

        Args:
            latest: Take the last commit instead of the first.
            blinded_only: Leave out commits made after a heatmap was seen.
            findings: Keep readings that say one of these; their other regions stay in.
            readers: Keep these readers.
            image_ids: Keep these images.
        """
        if findings is not None:
            known = self._vocabulary.findings()
            findings = [check_finding(finding, known) for finding in findings]
        wanted = commits.CommitFilter(latest, blinded_only, findings, readers, image_ids)
        with self._connections.read() as connection:
            return commits.one_per_reading(connection, wanted)

    def count_committed(self) -> int:
        """How many readings have at least one committed version."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT count(*) FROM readings WHERE commits > 0").fetchone()
        return int(row[0])

    def of_image(self, image_id: str) -> list[CommittedReading]:
        """Every committed version of every reader on this image."""
        with self._connections.read() as connection:
            find_image(connection, image_id)
            return commits.all_of_image(connection, image_id)


def _seen_unread(connection: sqlite3.Connection, image_id: str, reader: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM log WHERE image_id = ? AND kind = ? AND actor = ?",
        (image_id, SEEN_UNREAD, reader),
    )
    return found.fetchone() is not None


def _check_open(current: Reading) -> None:
    if not current.is_open:
        raise ReadingLocked(
            f"this reading was committed (version {current.commits}); reopen it to correct it"
        )


def _check_version(current: Reading, base_version: int) -> None:
    if current.version != base_version:
        raise StaleEdit(
            f"this change was made on version {base_version} of the reading, which is now at "
            f"version {current.version} (another window?); look at the present state and repeat it",
            current,
        )


def _check_statement(regions: Sequence[Region], no_finding: bool) -> None:
    if not regions and not no_finding:
        raise IncompleteReading(
            f"a reading without boxes must say '{NO_FINDING}'; there is nothing to import"
        )
    if regions and no_finding:
        raise edits.both_refused(len(regions))
    ids = [region.region_id for region in regions]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise StoreError(f"the region id '{twice}' stands twice in one reading; make ids unique")


def _with_id(region: Region) -> Region:
    return region if region.region_id else replace(region, region_id=str(uuid.uuid4()))


def _snapshot(current: Reading, *, seen_unread: bool = False) -> commits.Snapshot:
    return commits.Snapshot(
        reading_id=current.reading_id,
        commit_number=current.commits + 1,
        version=current.version,
        committed_at=now(),
        blinded=current.revealed_at is None and not seen_unread,
        imported=False,
        no_finding=current.no_finding,
        regions=current.regions,
    )


def _keep(connection: sqlite3.Connection, current: Reading, snapshot: commits.Snapshot) -> None:
    commits.insert_snapshot(connection, snapshot)
    set_columns(
        connection,
        current.reading_id,
        status="committed" if snapshot.commit_number == 1 else "revised",
        is_open=0,
        commits=snapshot.commit_number,
        imported=int(snapshot.imported),
    )
    _log(
        connection,
        "import_reading" if snapshot.imported else "commit",
        current,
        {
            "commit_number": snapshot.commit_number,
            "version": snapshot.version,
            "blinded": snapshot.blinded,
            "no_finding": snapshot.no_finding,
            "regions": [region_json(region) for region in snapshot.regions],
            "content_sha256": snapshot.content_sha256,
        },
    )


def _replace_working_copy(connection: sqlite3.Connection, said: Reading) -> None:
    connection.execute("DELETE FROM regions WHERE reading_id = ?", (said.reading_id,))
    for region in said.regions:
        put_region(connection, said.reading_id, region, said.version)
    set_columns(connection, said.reading_id, no_finding=int(said.no_finding))


def _log(
    connection: sqlite3.Connection, kind: str, current: Reading, details: dict[str, object]
) -> None:
    append(
        connection,
        LogEntry(kind, current.reader, current.reading_id, details, image_id=current.image_id),
    )
