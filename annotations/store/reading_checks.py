"""What must hold before a reading is changed, committed or shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from annotations.cases import ADJUDICATION, FIRST, REPEAT, Case, parse_case
from annotations.errors import CaseHidden, IncompleteReading, ReadingLocked, StaleEdit, StoreError
from annotations.findings import NO_FINDING
from annotations.records import Reading, Region
from annotations.store.edits import both_refused
from annotations.store.images import find_image
from annotations.store.seen import OPENED_REPEAT, SEEN_READING, has_seen
from annotations.store.working_copy import load_reading


def find_case(connection: sqlite3.Connection, case_id: str) -> Case:
    """The case with this id, whose image is there; UnknownRecord when it is not."""
    case = parse_case(case_id)
    find_image(connection, case.image_id)
    return case


def check_turn(connection: sqlite3.Connection, current: Reading) -> None:
    """Refuse what would mix the two readings of a picture that is read twice."""
    image_id, reader = current.image_id, current.reader
    if current.occasion == ADJUDICATION:
        raise ReadingLocked("an adjudication is changed in the tab Adjudicate, not here")
    if current.occasion == REPEAT and not load_reading(connection, Case(image_id), reader).commits:
        raise CaseHidden("this case comes later; read the cases before it in the worklist first")
    if current.occasion == FIRST and has_seen(connection, OPENED_REPEAT, image_id, reader):
        repeat = load_reading(connection, Case(image_id, REPEAT), reader)
        if not repeat.commits:
            raise CaseHidden(
                "you are reading this picture a second time; what you said first is shown again "
                "when the second reading is committed"
            )


def is_repeat_due(connection: sqlite3.Connection, image_id: str, reader: str) -> bool:
    """Whether this reader has to read the image a second time still."""
    planned = connection.execute(
        "SELECT 1 FROM worklist_orders JOIN images USING (seq) "
        "WHERE reader = ? AND image_id = ? AND occasion = ?",
        (reader, image_id, REPEAT),
    ).fetchone()
    if planned is None:
        return False
    return not load_reading(connection, Case(image_id, REPEAT), reader).commits


def is_independent(connection: sqlite3.Connection, current: Reading) -> bool:
    """An adjudication never is; a reading is until its reader saw somebody else's."""
    return current.occasion != ADJUDICATION and not has_seen(
        connection, SEEN_READING, current.image_id, current.reader
    )


def check_complete(current: Reading) -> None:
    """Refuse to commit what says nothing, or leaves a certainty open."""
    if not current.regions and not current.no_finding:
        raise IncompleteReading(
            f"this reading has no box and does not say '{NO_FINDING}'; mark a finding or "
            f"tick '{NO_FINDING}' before the commit"
        )
    unsaid = [region.finding for region in current.regions if not region.certainty]
    if unsaid:
        raise IncompleteReading(
            f"{len(unsaid)} of {len(current.regions)} boxes have no certainty "
            f"({', '.join(dict.fromkeys(unsaid))}); choose definite, probable or possible for each"
        )


def check_open(current: Reading) -> None:
    """Refuse a change of a committed reading that was not reopened."""
    if not current.is_open:
        raise ReadingLocked(
            f"this reading was committed (version {current.commits}); reopen it to correct it"
        )


def check_version(current: Reading, base_version: int) -> None:
    """Refuse a change that was made on another version."""
    if current.version != base_version:
        raise StaleEdit(
            f"this change was made on version {base_version} of the reading, which is now at "
            f"version {current.version} (another window?); look at the present state and repeat it",
            current,
        )


def check_statement(regions: Sequence[Region], no_finding: bool) -> None:
    """Refuse to import what says nothing or contradicts itself."""
    if not regions and not no_finding:
        raise IncompleteReading(
            f"a reading without boxes must say '{NO_FINDING}'; there is nothing to import"
        )
    if regions and no_finding:
        raise both_refused(len(regions))
    if not all(region.certainty for region in regions):
        raise IncompleteReading(
            "a region to import has no certainty; give definite, probable or possible"
        )
    ids = [region.region_id for region in regions]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise StoreError(f"the region id '{twice}' stands twice in one reading; make ids unique")
