"""Committed versions: snapshots of readings that never change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from annotations.cases import FIRST
from annotations.findings import NO_FINDING
from annotations.records import CommittedReading, Region
from annotations.store.regions import content_sha256, region_of, region_values

_SELECT: Final = """
    SELECT commits.*, readings.image_id, readings.reader, readings.occasion,
        readers.kind AS reader_kind
    FROM commits JOIN readings USING (reading_id) JOIN images USING (image_id)
    JOIN readers ON readers.name = readings.reader
    {where} ORDER BY images.seq, readings.reader, readings.occasion, commits.commit_number"""


_PAGE: Final = 2000
_MAX_PROBLEMS: Final = 100


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
    independent: bool = True

    @property
    def content_sha256(self) -> str:
        """The hash of what the snapshot says."""
        return content_sha256(self.no_finding, self.regions)


def insert_snapshot(connection: sqlite3.Connection, snapshot: Snapshot) -> None:
    """Keep the snapshot, in the caller's transaction."""
    connection.execute(
        "INSERT INTO commits (reading_id, commit_number, version, committed_at, blinded, imported, "
        "no_finding, n_regions, content_sha256, independent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            int(snapshot.independent),
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
    occasions: Sequence[int] = (FIRST,)


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
    where += " AND readings.occasion IN (SELECT value FROM json_each(:occasions))"
    values["occasions"] = json.dumps(list(wanted.occasions))
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


def all_of_image(
    connection: sqlite3.Connection, image_id: str, occasions: Sequence[int]
) -> list[CommittedReading]:
    """Every committed version of every reader on this image, of these occasions."""
    return _load(
        connection,
        "WHERE readings.image_id = :image_id "
        "AND readings.occasion IN (SELECT value FROM json_each(:occasions))",
        {"image_id": image_id, "occasions": json.dumps(list(occasions))},
    )


def load_one(
    connection: sqlite3.Connection, reading_id: str, commit_number: int
) -> CommittedReading:
    """This one commit; the caller knows that it exists."""
    (found,) = _load(
        connection,
        "WHERE commits.reading_id = :reading_id AND commits.commit_number = :commit_number",
        {"reading_id": reading_id, "commit_number": commit_number},
    )
    return found


def content_known(connection: sqlite3.Connection, reading_id: str, digest: str) -> bool:
    """Whether one of the reading's commits says the same."""
    row = connection.execute(
        "SELECT 1 FROM commits WHERE reading_id = ? AND content_sha256 = ?", (reading_id, digest)
    ).fetchone()
    return row is not None


def content_problems(connection: sqlite3.Connection) -> list[str]:
    """A sentence for each commit that says something else than its hash or its log row."""
    problems: list[str] = []
    last = ""
    # Some thousand at a time: a million regions do not fit into a small computer's memory.
    while reading_ids := _readings_after(connection, last):
        last = reading_ids[-1]
        problems += _problems_of(connection, reading_ids)
        if len(problems) >= _MAX_PROBLEMS:
            return [*problems, f"the check of the commits stopped after {len(problems)} problems"]
    return problems


def _readings_after(connection: sqlite3.Connection, last: str) -> list[str]:
    rows = connection.execute(
        "SELECT reading_id FROM readings WHERE reading_id > ? ORDER BY reading_id LIMIT ?",
        (last, _PAGE),
    )
    return [str(row[0]) for row in rows]


def _problems_of(connection: sqlite3.Connection, reading_ids: Sequence[str]) -> list[str]:
    logged = _logged(connection, reading_ids)
    where = "WHERE commits.reading_id IN (SELECT value FROM json_each(:reading_ids))"
    problems = []
    for one in _load(connection, where, {"reading_ids": _json_list(reading_ids)}):
        digest = content_sha256(one.no_finding, one.regions)
        name = (
            f"commit {one.commit_number} of reading {one.reading_id} (reader '{one.reader}', "
            f"image {one.image_id})"
        )
        if digest != one.content_sha256:
            problems.append(f"{name} is not as it was written: its hash does not match")
        said = (digest, one.blinded, one.imported, one.independent)
        if logged.get((one.reading_id, one.commit_number)) != said:
            problems.append(f"{name} is not the one that the log tells of")
    return problems


Logged = tuple[str, bool, bool, bool]


def _logged(
    connection: sqlite3.Connection, reading_ids: Sequence[str]
) -> dict[tuple[str, int], Logged]:
    """Of each commit that the log tells of: hash of the content, blinded, imported, independent."""
    rows = connection.execute(
        "SELECT subject, kind, details FROM log WHERE kind IN ('commit', 'import_reading') "
        "AND subject IN (SELECT value FROM json_each(?))",
        (_json_list(reading_ids),),
    )
    logged = {}
    for row in rows:
        details = json.loads(row["details"])
        key = (str(row["subject"]), int(details["commit_number"]))
        imported = row["kind"] == "import_reading"
        independent = bool(details.get("independent", True))  # older rows do not say it
        logged[key] = (
            str(details["content_sha256"]), bool(details["blinded"]), imported, independent,
        )  # fmt: skip
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
            occasion=row["occasion"],
            independent=bool(row["independent"]),
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
