"""Committed versions: snapshots of readings that never change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, Region
from annotations.store.regions import content_sha256, region_of, region_values

_SELECT: Final = """
    SELECT commits.*, readings.image_id, readings.reader, readers.kind AS reader_kind
    FROM commits JOIN readings USING (reading_id) JOIN images USING (image_id)
    JOIN readers ON readers.name = readings.reader
    {where} ORDER BY images.seq, readings.reader, commits.commit_number"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a commit keeps."""

    reading_id: str
    commit_number: int
    version: int
    committed_at: str
    blinded: bool
    imported: bool
    no_finding: bool
    regions: tuple[Region, ...]

    @property
    def content_sha256(self) -> str:
        """The hash of what the snapshot says."""
        return content_sha256(self.no_finding, self.regions)


def insert_snapshot(connection: sqlite3.Connection, snapshot: Snapshot) -> None:
    """Keep the snapshot, in the caller's transaction."""
    connection.execute(
        "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            snapshot.reading_id,
            snapshot.commit_number,
            snapshot.version,
            snapshot.committed_at,
            int(snapshot.blinded),
            int(snapshot.imported),
            int(snapshot.no_finding),
            len(snapshot.regions),
            snapshot.content_sha256,
        ),
    )
    connection.executemany(
        "INSERT INTO commit_regions (reading_id, commit_number, position, region_id, finding, "
        "certainty, x_min, y_min, x_max, y_max, note, shape) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (snapshot.reading_id, snapshot.commit_number, position, *region_values(region))
            for position, region in enumerate(snapshot.regions)
        ],
    )


@dataclass(frozen=True, slots=True)
class CommitFilter:
    """Which commits are asked for; None means all."""

    latest: bool = False
    blinded_only: bool = True
    findings: Sequence[str] | None = None
    readers: Sequence[str] | None = None
    image_ids: Sequence[str] | None = None


def one_per_reading(connection: sqlite3.Connection, wanted: CommitFilter) -> list[CommittedReading]:
    """One commit of each reading: its first, or its last when ``latest``.

    With ``blinded_only`` the first (last) of those made before any heatmap was seen.
    """
    # MIN and MAX, the only two words that go in as text; everything else is a parameter.
    pick = "MAX" if wanted.latest else "MIN"
    where = (
        f"WHERE commits.commit_number = (SELECT {pick}(one.commit_number) FROM commits AS one "
        "WHERE one.reading_id = commits.reading_id AND (one.blinded = 1 OR :any_blinding))"
    )
    values: dict[str, object] = {"any_blinding": int(not wanted.blinded_only)}
    for column, names in (
        ("readings.reader", wanted.readers),
        ("images.image_id", wanted.image_ids),
    ):
        if names is not None:
            where += f" AND {column} IN (SELECT value FROM json_each(:{column[:4]}))"
            values[column[:4]] = _json_list(names)
    found = _load(connection, where, values)
    if wanted.findings is None:
        return found
    return [one for one in found if _says(one, set(wanted.findings))]


def all_of_image(connection: sqlite3.Connection, image_id: str) -> list[CommittedReading]:
    """Every committed version of every reader on this image."""
    return _load(connection, "WHERE readings.image_id = :image_id", {"image_id": image_id})


def content_known(connection: sqlite3.Connection, reading_id: str, digest: str) -> bool:
    """Whether one of the reading's commits says the same."""
    row = connection.execute(
        "SELECT 1 FROM commits WHERE reading_id = ? AND content_sha256 = ?", (reading_id, digest)
    ).fetchone()
    return row is not None


def content_problems(connection: sqlite3.Connection) -> list[str]:
    """A sentence for each commit that says something else than its hash or its log row."""
    logged = _logged(connection)
    problems = []
    for one in _load(connection, "", {}):
        digest = content_sha256(one.no_finding, one.regions)
        name = (
            f"commit {one.commit_number} of reading {one.reading_id} (reader '{one.reader}', "
            f"image {one.image_id})"
        )
        if digest != one.content_sha256:
            problems.append(f"{name} is not as it was written: its hash does not match")
        said = (digest, one.blinded, one.imported)
        if logged.get((one.reading_id, one.commit_number)) != said:
            problems.append(f"{name} is not the one that the log tells of")
    return problems


def _logged(connection: sqlite3.Connection) -> dict[tuple[str, int], tuple[str, bool, bool]]:
    """Of each commit that the log tells of: hash of the content, blinded, imported."""
    rows = connection.execute(
        "SELECT subject, kind, details FROM log WHERE kind IN ('commit', 'import_reading')"
    )
    logged = {}
    for row in rows:
        details = json.loads(row["details"])
        key = (str(row["subject"]), int(details["commit_number"]))
        imported = row["kind"] == "import_reading"
        logged[key] = (str(details["content_sha256"]), bool(details["blinded"]), imported)
    return logged


def _says(reading: CommittedReading, findings: set[str]) -> bool:
    said = {region.finding for region in reading.regions}
    return bool(said & findings) or (reading.no_finding and NO_FINDING in findings)


def _load(
    connection: sqlite3.Connection, where: str, values: dict[str, object]
) -> list[CommittedReading]:
    rows = connection.execute(_SELECT.format(where=where), values).fetchall()
    regions = _regions_of(connection, rows)
    return [
        CommittedReading(
            reading_id=row["reading_id"],
            image_id=row["image_id"],
            reader=row["reader"],
            reader_kind=row["reader_kind"],
            commit_number=row["commit_number"],
            committed_at=row["committed_at"],
            blinded=bool(row["blinded"]),
            imported=bool(row["imported"]),
            no_finding=bool(row["no_finding"]),
            regions=tuple(regions.get((row["reading_id"], row["commit_number"]), ())),
            content_sha256=row["content_sha256"],
        )
        for row in rows
    ]


def _regions_of(
    connection: sqlite3.Connection, commits: Sequence[sqlite3.Row]
) -> dict[tuple[str, int], list[Region]]:
    rows = connection.execute(
        "SELECT * FROM commit_regions WHERE reading_id IN (SELECT value FROM json_each(?)) "
        "ORDER BY reading_id, commit_number, position",
        (_json_list({row["reading_id"] for row in commits}),),
    )
    regions: dict[tuple[str, int], list[Region]] = {}
    for row in rows:
        regions.setdefault((row["reading_id"], row["commit_number"]), []).append(region_of(row))
    return regions


def _json_list(names: Iterable[str]) -> str:
    return json.dumps(list(names))
