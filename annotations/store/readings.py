"""Readings: the working copy, its edits, commits and reveals. One transaction per change."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import replace

from annotations.cases import FIRST, REPEAT, parse_case
from annotations.errors import ReadingLocked, StoreError
from annotations.findings import check_finding
from annotations.records import CommittedReading, Edit, ReaderKind, Reading, Region
from annotations.store import commits, edits
from annotations.store.connection import Connections
from annotations.store.encoding import now
from annotations.store.images import find_image
from annotations.store.keeping import keep_reading, log_reading, snapshot_reading
from annotations.store.readers import ensure_reader
from annotations.store.reading_checks import (
    check_complete,
    check_open,
    check_statement,
    check_turn,
    check_version,
    find_case,
    is_independent,
    is_repeat_due,
)
from annotations.store.regions import check_region, content_sha256
from annotations.store.seen import (
    OPENED_REPEAT,
    SEEN_READING,
    SEEN_UNREAD,
    has_seen_map,
    note_seen,
)
from annotations.store.time_on_task import check_active, time_until_commits
from annotations.store.vocabulary import Vocabulary
from annotations.store.working_copy import create_reading, load_reading, put_region, set_columns


class Readings:
    """What readers said: one working copy per case and reader, and its committed versions.

    A case is an image on one occasion; its id is that of the image for the first reading.
    """

    def __init__(self, connections: Connections, vocabulary: Vocabulary) -> None:
        self._connections = connections
        self._vocabulary = vocabulary

    def get(self, case_id: str, reader: str) -> Reading:
        """The reading as it stands; status "new" and version 0 when nothing was saved yet.

        Raises:
            UnknownRecord: If there is no such image or occasion.
        """
        with self._connections.read() as connection:
            return load_reading(connection, find_case(connection, case_id), reader)

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
            case = parse_case(edit.image_id)
            image = find_image(connection, case.image_id)
            if edits.was_applied(connection, reader, edit.client_id, edit.sequence):
                return load_reading(connection, case, reader)
            ensure_reader(connection, reader, "person")
            current = load_reading(connection, case, reader)
            check_turn(connection, current)
            check_open(current)
            check_version(current, edit.base_version)
            if not current.reading_id:
                current = create_reading(connection, current)
            edits.write_edit(connection, edit, current, image.size, known)
            return load_reading(connection, case, reader)

    def commit(
        self,
        case_id: str,
        reader: str,
        *,
        base_version: int,
        maps_open: bool = False,
        active_ms: int | None = None,
    ) -> Reading:
        """The reading after its present state was kept as a version that never changes.

        Args:
            case_id: The case.
            reader: Who read it.
            base_version: The version that is committed.
            maps_open: Whether the protocol let the reader see heatmaps before; what is committed
                under it counts as not blinded, looked at or not.
            active_ms: How long the reader was at work since the last edit; None: not measured.

        Raises:
            IncompleteReading: If it has no region and does not say No Finding, or a region's
                certainty was not said.
            ReadingLocked: If it is committed already and was not reopened.
            StaleEdit: If it was changed since ``base_version``.
            InvalidRegion: If the time at work is none.
        """
        check_active(active_ms)
        with self._connections.write() as connection:
            case = find_case(connection, case_id)
            current = load_reading(connection, case, reader)
            check_turn(connection, current)
            check_open(current)
            check_version(current, base_version)
            check_complete(current)
            snapshot = replace(
                snapshot_reading(current),
                blinded=not (maps_open or has_seen_map(connection, case.image_id, reader)),
                independent=is_independent(connection, current),
            )
            keep_reading(connection, current, snapshot, active_ms=active_ms)
            return load_reading(connection, case, reader)

    def reopen(self, case_id: str, reader: str) -> Reading:
        """The reading, open for a correction; its committed versions stay as they are."""
        with self._connections.write() as connection:
            case = find_case(connection, case_id)
            current = load_reading(connection, case, reader)
            if current.is_open:
                return current
            check_turn(connection, current)
            set_columns(connection, current.reading_id, is_open=1)
            log_reading(connection, "reopen", current, {"commits": current.commits})
            return load_reading(connection, case, reader)

    def reveal(self, case_id: str, reader: str, *, maps_open: bool = False) -> Reading:
        """The reading, with the moment recorded at which a heatmap was first shown.

        Args:
            case_id: The case.
            reader: Who sees it.
            maps_open: Whether the protocol shows heatmaps before the commit.

        Raises:
            ReadingLocked: Before the first commit, and while the reader has to read the same image
                once more.
        """
        with self._connections.write() as connection:
            case = find_case(connection, case_id)
            current = load_reading(connection, case, reader)
            if maps_open and not current.reading_id:
                note_seen(connection, SEEN_UNREAD, case.image_id, reader)
                return current
            if current.commits == 0 and not maps_open:
                raise ReadingLocked("the heatmap stays hidden until this reading is committed")
            if not maps_open and is_repeat_due(connection, case.image_id, reader):
                raise ReadingLocked("the heatmap of this picture is shown later in this study")
            if current.revealed_at is not None:
                return current
            set_columns(connection, current.reading_id, revealed_at=now())
            log_reading(connection, "reveal", current, {"commits": current.commits})
            return load_reading(connection, case, reader)

    def note_seen_unread(self, image_id: str, reader: str) -> None:
        """Keep that this reader saw a heatmap of an image without having committed a reading.

        An auditor may look at others' readings; what the same person commits on that image
        later is not blinded.
        """
        with self._connections.write() as connection:
            find_image(connection, image_id)
            note_seen(connection, SEEN_UNREAD, image_id, reader)

    def note_seen_reading(self, image_id: str, reader: str) -> None:
        """Keep that this reader saw somebody else's reading of an image.

        What the same person commits on it later is no independent reading.
        """
        with self._connections.write() as connection:
            find_image(connection, image_id)
            note_seen(connection, SEEN_READING, image_id, reader)

    def open_case(self, case_id: str, reader: str) -> Reading:
        """The reading, as its reader opens it; that a repeat was opened is kept.

        Raises:
            ReadingLocked: If another occasion of the same image must be finished first.
        """
        current = self.get(case_id, reader)
        if current.occasion == REPEAT and not current.commits:
            with self._connections.write() as connection:
                check_turn(connection, current)
                note_seen(connection, OPENED_REPEAT, current.image_id, reader)
        with self._connections.read() as connection:
            check_turn(connection, current)
        return current

    def import_committed(
        self,
        case_id: str,
        reader: str,
        kind: ReaderKind,
        regions: Sequence[Region],
        no_finding: bool,
        *,
        blinded: bool = True,
    ) -> bool:
        """Whether a new committed version was kept; False when one says the same already.

        Args:
            case_id: The case that was read; of an adjudication without links to its parents.
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
            case = parse_case(case_id)
            size = find_image(connection, case.image_id).size
            checked = tuple(check_region(_with_id(region), size, known) for region in regions)
            check_statement(checked, no_finding)
            current = load_reading(connection, case, reader)
            digest = content_sha256(no_finding, checked)
            if commits.content_known(connection, current.reading_id, digest):
                return False
            if current.reading_id and not current.imported:
                raise StoreError(
                    f"reader '{reader}' has an own reading of image {case_id} and the imported "
                    "one differs from it; import it under another reader's name"
                )
            ensure_reader(connection, reader, kind)
            if not current.reading_id:
                current = create_reading(connection, replace(current, imported=True))
            said = replace(current, no_finding=no_finding, regions=checked)
            _replace_working_copy(connection, said)
            snapshot = replace(
                snapshot_reading(said),
                imported=True,
                blinded=blinded,
                independent=is_independent(connection, said),
            )
            keep_reading(connection, said, snapshot)
            return True

    def committed(
        self,
        *,
        latest: bool = False,
        blinded_only: bool = True,
        findings: Sequence[str] | None = None,
        readers: Sequence[str] | None = None,
        image_ids: Sequence[str] | None = None,
        occasions: Sequence[int] = (FIRST,),
    ) -> list[CommittedReading]:
        """One committed version of each reading: the first blinded one, or the last if ``latest``.

        Args:
            latest: Take the last commit instead of the first.
            blinded_only: Leave out commits made after a heatmap was seen.
            findings: Keep readings that say one of these; their other regions stay in.
            readers: Keep these readers.
            image_ids: Keep these images.
            occasions: Keep these of ``cases.OCCASIONS``: repeats and adjudications are no further
                readings, and come only when they are asked for.
        """
        if findings is not None:
            known = self._vocabulary.findings()
            findings = [check_finding(finding, known) for finding in findings]
        wanted = commits.CommitFilter(latest, blinded_only, findings, readers, image_ids, occasions)
        with self._connections.read() as connection:
            return commits.one_per_reading(connection, wanted)

    def time_on_task(self, reading_id: str) -> dict[int, int]:
        """Milliseconds of work until each commit, by commit number; only what was measured."""
        with self._connections.read() as connection:
            return time_until_commits(connection, reading_id)

    def count_committed(self) -> int:
        """How many readings have at least one committed version."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT count(*) FROM readings WHERE commits > 0").fetchone()
        return int(row[0])

    def of_image(
        self, image_id: str, *, occasions: Sequence[int] = (FIRST,)
    ) -> list[CommittedReading]:
        """Every committed version of every reader on this image."""
        with self._connections.read() as connection:
            find_image(connection, image_id)
            return commits.all_of_image(connection, image_id, occasions)


def _with_id(region: Region) -> Region:
    return region if region.region_id else replace(region, region_id=str(uuid.uuid4()))


def _replace_working_copy(connection: sqlite3.Connection, said: Reading) -> None:
    connection.execute("DELETE FROM regions WHERE reading_id = ?", (said.reading_id,))
    for region in said.regions:
        put_region(connection, said.reading_id, region, said.version)
    set_columns(connection, said.reading_id, no_finding=int(said.no_finding))
