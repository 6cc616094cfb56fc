"""Adjudication: two readers' committed readings become one reading with links to both."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from annotations.cases import ADJUDICATION, FIRST, Case
from annotations.errors import IncompleteReading, InvalidRegion, StoreError, UnknownRecord
from annotations.records import (
    Adjudication,
    CommittedReading,
    Decision,
    DecisionKind,
    Region,
)
from annotations.store import commits
from annotations.store.connection import Connections
from annotations.store.edits import check_sender, was_applied
from annotations.store.encoding import now
from annotations.store.images import find_image
from annotations.store.keeping import keep_reading, log_reading, snapshot_reading
from annotations.store.readers import ensure_reader
from annotations.store.reading_checks import check_open, check_version
from annotations.store.regions import check_region, region_json
from annotations.store.seen import SEEN_READING, has_seen_map, note_seen
from annotations.store.time_on_task import active_details, check_active
from annotations.store.vocabulary import Vocabulary
from annotations.store.working_copy import create_reading, load_reading, put_region, set_columns

N_PARENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided about one region of a parent; ``None`` takes an earlier decision back."""

    parent_id: str
    region_id: str
    decision: DecisionKind | None
    region: Region | None = None  # for "edit": as it shall be; its id does not matter
    client_id: str = ""  # with the number behind it, kept at most once; "" when sent only once
    sequence: int = 0
    active_ms: int | None = None  # the work since the decision before; None: not measured


@dataclass(frozen=True, slots=True)
class Disputed:
    """An image that at least two readers committed."""

    image_id: str
    name: str
    readers: tuple[str, ...]
    status: str  # of this adjudicator's reading: new, draft, committed, revised


class Adjudications:
    """The adjudications of all adjudicators."""

    def __init__(self, connections: Connections, vocabulary: Vocabulary) -> None:
        self._connections = connections
        self._vocabulary = vocabulary

    def cases(self, adjudicator: str) -> list[Disputed]:
        """The images that two or more readers committed, in the order in which they came."""
        with self._connections.read() as connection:
            rows = connection.execute(
                "SELECT images.image_id, images.name, json_group_array(readings.reader) AS names, "
                "(SELECT own.status FROM readings AS own WHERE own.image_id = images.image_id "
                "AND own.reader = ? AND own.occasion = ?) AS status "
                "FROM readings JOIN images USING (image_id) "
                "WHERE readings.commits > 0 AND readings.occasion = ? "
                "GROUP BY images.seq HAVING count(*) >= ? ORDER BY images.seq",
                (adjudicator, ADJUDICATION, FIRST, N_PARENTS),
            ).fetchall()
        return [
            Disputed(
                row["image_id"],
                row["name"],
                tuple(sorted(json.loads(row["names"]))),
                row["status"] or "new",
            )
            for row in rows
        ]

    def get(self, image_id: str, adjudicator: str) -> Adjudication | None:
        """The adjudication as it stands, None when it was not begun."""
        with self._connections.read() as connection:
            find_image(connection, image_id)
            return _load(connection, image_id, adjudicator)

    def begin(self, image_id: str, adjudicator: str, readers: Sequence[str]) -> Adjudication:
        """The adjudication of these two readers' first commits; one that was begun goes on.

        That the adjudicator now knows both readings is kept: an own reading of the image that is
        committed later is not independent.

        Raises:
            StoreError: If these are not two readers, one has no committed reading of the image,
                or the adjudication was begun with others.
        """
        if len(set(readers)) != N_PARENTS:
            raise StoreError(f"an adjudication needs two readers; given: {', '.join(readers)}")
        with self._connections.write() as connection:
            find_image(connection, image_id)
            current = _load(connection, image_id, adjudicator)
            if current is None:
                _begin(connection, image_id, adjudicator, _parents(connection, image_id, readers))
                current = _loaded(connection, image_id, adjudicator)
            begun_with = [parent.reader for parent in current.parents]
            if set(begun_with) != set(readers):
                raise StoreError(
                    f"your adjudication of this image was begun with {' and '.join(begun_with)}; "
                    "choose these two readers"
                )
            return current

    def decide(
        self, image_id: str, adjudicator: str, verdict: Verdict, *, base_version: int
    ) -> Adjudication:
        """The adjudication after this decision; one that was kept before changes nothing.

        Raises:
            StaleEdit: If it was changed since ``base_version``.
            ReadingLocked: If it is committed and was not reopened.
            UnknownRecord: If there is no such region in one of the parents.
            InvalidRegion: If an edited region may not be saved, or sender or time are not valid.
        """
        if verdict.decision is not None and verdict.decision not in get_args(DecisionKind):
            raise InvalidRegion(
                f"unknown decision '{verdict.decision}'; known: {', '.join(get_args(DecisionKind))}"
            )
        if verdict.client_id:
            check_sender(verdict.client_id, verdict.sequence)
        check_active(verdict.active_ms)
        with self._connections.write() as connection:
            known = self._vocabulary.findings()
            size = find_image(connection, image_id).size
            current = _loaded(connection, image_id, adjudicator)
            if was_applied(connection, adjudicator, verdict.client_id, verdict.sequence):
                return current
            check_open(current.reading)
            check_version(current.reading, base_version)
            original = _region_of_parent(current, verdict)
            result = _result(verdict, original)
            if result is not None:
                result = check_region(result, size, known)
            _write(connection, current, verdict, original, result)
            return _loaded(connection, image_id, adjudicator)

    def commit(
        self,
        image_id: str,
        adjudicator: str,
        *,
        base_version: int,
        active_ms: int | None = None,
    ) -> Adjudication:
        """The adjudication after its state was kept; without any region it says No Finding.

        Args:
            image_id: The image.
            adjudicator: Whose adjudication is committed.
            base_version: The version that is committed.
            active_ms: The work since the last decision; None: not measured.

        Raises:
            IncompleteReading: If a region of a parent is not decided about.
            InvalidRegion: If nobody can have worked for that time.
            StaleEdit: If it was changed since ``base_version``.
            ReadingLocked: If it is committed already.
        """
        check_active(active_ms)
        with self._connections.write() as connection:
            find_image(connection, image_id)
            current = _loaded(connection, image_id, adjudicator)
            reading = current.reading
            check_open(reading)
            check_version(reading, base_version)
            if current.undecided:
                raise IncompleteReading(
                    f"{current.undecided} regions are not decided about; accept, edit or reject "
                    "each before the commit"
                )
            nothing = not reading.regions
            set_columns(connection, reading.reading_id, no_finding=int(nothing))
            reading = replace(reading, no_finding=nothing)
            snapshot = replace(
                snapshot_reading(reading),
                blinded=not has_seen_map(connection, image_id, adjudicator),
                independent=False,
            )
            keep_reading(connection, reading, snapshot, active_ms=active_ms)
            return _loaded(connection, image_id, adjudicator)

    def reopen(self, image_id: str, adjudicator: str) -> Adjudication:
        """The adjudication, open for a correction; what was committed stays."""
        with self._connections.write() as connection:
            find_image(connection, image_id)
            reading = _loaded(connection, image_id, adjudicator).reading
            if not reading.is_open:
                set_columns(connection, reading.reading_id, is_open=1)
                log_reading(connection, "reopen", reading, {"commits": reading.commits})
            return _loaded(connection, image_id, adjudicator)

    def parents_of(self, reading_id: str) -> tuple[CommittedReading, ...]:
        """The committed readings that an adjudicated one was made from; () for any other."""
        with self._connections.read() as connection:
            return _parents_of(connection, reading_id)


def result_id(parent_id: str, region_id: str) -> str:
    """The id of the region that comes of a parent's region; always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{parent_id}/{region_id}"))


def _begin(
    connection: sqlite3.Connection,
    image_id: str,
    adjudicator: str,
    parents: Sequence[CommittedReading],
) -> None:
    ensure_reader(connection, adjudicator, "person")
    note_seen(connection, SEEN_READING, image_id, adjudicator)
    case = Case(image_id, ADJUDICATION)
    created = create_reading(connection, load_reading(connection, case, adjudicator))
    connection.executemany(
        "INSERT INTO reading_parents VALUES (?, ?, ?, ?)",
        [
            (created.reading_id, position, parent.reading_id, parent.commit_number)
            for position, parent in enumerate(parents)
        ],
    )
    details: dict[str, object] = {
        "parents": [
            {
                "reading_id": parent.reading_id,
                "commit_number": parent.commit_number,
                "content_sha256": parent.content_sha256,
            }
            for parent in parents
        ]
    }
    log_reading(connection, "adjudicate", created, details)


def _parents(
    connection: sqlite3.Connection, image_id: str, readers: Sequence[str]
) -> list[CommittedReading]:
    """The first commit of each reader, as audits take it."""
    wanted = commits.CommitFilter(blinded_only=False, readers=readers, image_ids=[image_id])
    found = {one.reader: one for one in commits.one_per_reading(connection, wanted)}
    missing = [reader for reader in readers if reader not in found]
    if missing:
        raise StoreError(f"reader '{missing[0]}' has committed no reading of this image")
    return [found[reader] for reader in readers]


def _parents_of(connection: sqlite3.Connection, reading_id: str) -> tuple[CommittedReading, ...]:
    links = connection.execute(
        "SELECT parent_id, commit_number FROM reading_parents WHERE reading_id = ? "
        "ORDER BY position",
        (reading_id,),
    ).fetchall()
    return tuple(commits.load_one(connection, *link) for link in links)


def _load(connection: sqlite3.Connection, image_id: str, adjudicator: str) -> Adjudication | None:
    reading = load_reading(connection, Case(image_id, ADJUDICATION), adjudicator)
    if not reading.reading_id:
        return None
    rows = connection.execute(
        "SELECT parent_id, region_id, decision, result_id FROM decisions WHERE reading_id = ?",
        (reading.reading_id,),
    )
    decisions = tuple(Decision(**dict(row)) for row in rows)
    return Adjudication(reading, _parents_of(connection, reading.reading_id), decisions)


def _loaded(connection: sqlite3.Connection, image_id: str, adjudicator: str) -> Adjudication:
    found = _load(connection, image_id, adjudicator)
    if found is None:
        raise UnknownRecord("this image is not being adjudicated by you; open it first")
    return found


def _region_of_parent(current: Adjudication, verdict: Verdict) -> Region:
    for parent in current.parents:
        for region in parent.regions:
            if (parent.reading_id, region.region_id) == (verdict.parent_id, verdict.region_id):
                return region
    raise UnknownRecord("there is no such region in the readings that are adjudicated; reload")


def _result(verdict: Verdict, original: Region) -> Region | None:
    if verdict.decision not in ("accept", "edit"):
        return None
    source = verdict.region if verdict.decision == "edit" else original
    if source is None:
        raise InvalidRegion("an 'edit' needs the region as it shall be; none was sent")
    if not source.certainty:
        raise InvalidRegion("an edited region needs a certainty: definite, probable or possible")
    return replace(source, region_id=result_id(verdict.parent_id, verdict.region_id))


def _write(
    connection: sqlite3.Connection,
    current: Adjudication,
    verdict: Verdict,
    original: Region,
    result: Region | None,
) -> None:
    reading = current.reading
    key = (reading.reading_id, verdict.parent_id, verdict.region_id)
    version = reading.version + 1
    before = _decision_value(current, verdict)
    connection.execute(
        "DELETE FROM decisions WHERE reading_id = ? AND parent_id = ? AND region_id = ?", key
    )
    connection.execute(
        "DELETE FROM regions WHERE reading_id = ? AND region_id = ?",
        (reading.reading_id, result_id(verdict.parent_id, verdict.region_id)),
    )
    decision = _said(verdict, original, result)
    if result is not None:
        put_region(connection, reading.reading_id, result, version)
    if decision is not None:
        connection.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)",
            (*key, decision, result.region_id if result else "", now()),
        )
    set_columns(connection, reading.reading_id, version=version)
    after = {"decision": decision, "region": region_json(result) if result else None}
    details: dict[str, object] = {
        "version": version,
        "parent_id": verdict.parent_id,
        "region_id": verdict.region_id,
        "before": before,
        "after": after,
        **active_details(verdict.active_ms),
    }
    sent = (verdict.client_id, verdict.sequence)
    log_reading(connection, "decide", reading, details, sent=sent)


def _said(verdict: Verdict, original: Region, result: Region | None) -> DecisionKind | None:
    """An edit that changes nothing is an acceptance."""
    if verdict.decision != "edit" or result is None:
        return verdict.decision
    is_same = replace(result, region_id=original.region_id) == original
    return "accept" if is_same else "edit"


def _decision_value(current: Adjudication, verdict: Verdict) -> dict[str, object]:
    wanted = (verdict.parent_id, verdict.region_id)
    for one in current.decisions:
        if (one.parent_id, one.region_id) == wanted:
            kept = (r for r in current.reading.regions if r.region_id == one.result_id)
            region = next(kept, None)
            return {"decision": one.decision, "region": region_json(region) if region else None}
    return {"decision": None, "region": None}
