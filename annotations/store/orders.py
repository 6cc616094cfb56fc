"""The order in which a reader is shown the cases, and which come a second time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from annotations.cases import FIRST, REPEAT, Case, parse_case
from annotations.store.connection import Connections
from annotations.store.edit_log import LogEntry, append
from annotations.store.encoding import canonical_json

ORDERED: Final = "worklist order"
WASHOUT: Final = 0.5  # of the worklist lies between a case and its repeat, at least


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """How the worklist of each reader is made."""

    is_random: bool = False
    seed: int = 1
    repeat_percent: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether the worklist simply is the order in which the images came."""
        return not self.is_random and self.repeat_percent == 0


@dataclass(frozen=True, slots=True)
class _Image:
    seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Entry:
    seq: int
    occasion: int


class Orders:
    """The stored orders of all readers."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def ensure(self, reader: str, plan: OrderPlan) -> None:
        """Make this reader's order what the plan says; images that came later follow at the end.

        An order that is there already stays: it changes only with the plan. A repeat that was
        begun stays in it whatever the plan says.
        """
        with self._connections.read() as connection:
            if _is_current(connection, reader, plan):
                return
        with self._connections.write() as connection:
            if _is_current(connection, reader, plan):
                return
            if _stored_plan(connection, reader) != _plan_text(plan):
                connection.execute("DELETE FROM worklist_orders WHERE reader = ?", (reader,))
            _extend(connection, reader, plan)
            connection.execute(
                "INSERT INTO worklist_plans VALUES (?, ?) "
                "ON CONFLICT (reader) DO UPDATE SET plan = excluded.plan",
                (reader, _plan_text(plan)),
            )
            details = {"plan": asdict(plan), "cases": _count(connection, reader)}
            append(connection, LogEntry(ORDERED, reader, reader, details))

    def shown_name(self, reader: str, case_id: str) -> str | None:
        """The case's number where file names would tell which case comes twice, else None."""
        case = parse_case(case_id)
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT place FROM worklist_orders JOIN images USING (seq) WHERE reader = ? "
                "AND image_id = ? AND occasion = ? AND EXISTS (SELECT 1 FROM worklist_orders "
                "AS one WHERE one.reader = worklist_orders.reader AND one.occasion = ?)",
                (reader, case.image_id, case.occasion, REPEAT),
            ).fetchone()
        return None if row is None else f"Case {row['place'] + 1}"

    def cases(self, reader: str) -> list[Case]:
        """The reader's order; [] where it is the order in which the images came."""
        with self._connections.read() as connection:
            rows = connection.execute(
                "SELECT image_id, occasion FROM worklist_orders JOIN images USING (seq) "
                "WHERE reader = ? ORDER BY place",
                (reader,),
            ).fetchall()
        return [Case(row["image_id"], row["occasion"]) for row in rows]


def place_cases(
    images: Sequence[tuple[int, str]],
    reader: str,
    plan: OrderPlan,
    *,
    repeated: Sequence[int] = (),
    n_repeats: int | None = None,
) -> list[tuple[int, int]]:
    """The order of these images as (seq, occasion), each first, some a second time.

    Args:
        images: (seq, SHA-256) in the order in which they came.
        reader: Whose order it is.
        plan: The plan; the same plan gives the same order for the same files.
        repeated: Images (seq) that are repeated in any case.
        n_repeats: How many are repeated in all; by default the plan's share.
    """
    known = [_Image(*one) for one in images]
    if plan.is_random:
        known.sort(key=lambda one: (_draw("order", plan.seed, reader, one.sha256), one.seq))
    count = len(known)
    wanted = round(plan.repeat_percent / 100 * count) if n_repeats is None else n_repeats
    chosen = _chosen(known, reader, plan, repeated, wanted)
    # Sorted by where each would stand: a repeat between half a list after its case and the end.
    keyed = [(float(place), _Entry(one.seq, FIRST)) for place, one in enumerate(known)]
    for place, one in enumerate(known):
        if one.seq in chosen:
            earliest = place + WASHOUT * count
            room = max(count - earliest, 1.0)
            draw = _draw("place", plan.seed, reader, one.sha256)
            keyed.append((earliest + draw * room, _Entry(one.seq, REPEAT)))
    keyed.sort(key=lambda item: (item[0], item[1].occasion, item[1].seq))
    return [(entry.seq, entry.occasion) for _, entry in keyed]


def _chosen(
    known: Sequence[_Image], reader: str, plan: OrderPlan, repeated: Sequence[int], wanted: int
) -> set[int]:
    """The seqs that come twice, by lot; of the first half as long as that has enough."""
    chosen = set(repeated)
    half = len(known) - int(WASHOUT * len(known))
    for part in (known[:half], known[half:]):
        rest = [one for one in part if one.seq not in chosen]
        rest.sort(key=lambda one: (_draw("repeat", plan.seed, reader, one.sha256), one.seq))
        chosen |= {one.seq for one in rest[: max(0, wanted - len(chosen))]}
    return chosen


def _draw(purpose: str, seed: int, reader: str, sha256: str) -> float:
    """A number in [0, 1) that depends on nothing but these, on every machine."""
    text = "\n".join((purpose, str(seed), reader, sha256))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _is_current(connection: sqlite3.Connection, reader: str, plan: OrderPlan) -> bool:
    stored = _stored_plan(connection, reader)
    if plan.is_plain and not _begun_repeats(connection, reader):
        # Nothing to store; what another plan left must go.
        return stored in (None, _plan_text(plan)) and _count(connection, reader) == 0
    n_images = connection.execute("SELECT count(*) FROM images").fetchone()[0]
    n_first = connection.execute(
        "SELECT count(*) FROM worklist_orders WHERE reader = ? AND occasion = ?", (reader, FIRST)
    ).fetchone()[0]
    return stored == _plan_text(plan) and bool(n_first == n_images)


def _extend(connection: sqlite3.Connection, reader: str, plan: OrderPlan) -> None:
    """Append the images that have no place yet."""
    begun = _begun_repeats(connection, reader)
    if plan.is_plain and not begun:
        return
    start = _count(connection, reader)
    known = {
        (row["seq"], row["occasion"])
        for row in connection.execute(
            "SELECT seq, occasion FROM worklist_orders WHERE reader = ?", (reader,)
        )
    }
    rows = connection.execute("SELECT seq, sha256 FROM images ORDER BY seq").fetchall()
    new = [(row["seq"], row["sha256"]) for row in rows if (row["seq"], FIRST) not in known]
    n_known = sum(occasion == REPEAT for _, occasion in known)
    wanted = round(plan.repeat_percent / 100 * len(rows)) - n_known
    again = [seq for seq in begun if (seq, REPEAT) not in known]
    placed = place_cases(new, reader, plan, repeated=again, n_repeats=min(max(0, wanted), len(new)))
    connection.executemany(
        "INSERT INTO worklist_orders (reader, place, seq, occasion) VALUES (?, ?, ?, ?)",
        [(reader, start + place, seq, occasion) for place, (seq, occasion) in enumerate(placed)],
    )


def _begun_repeats(connection: sqlite3.Connection, reader: str) -> list[int]:
    rows = connection.execute(
        "SELECT images.seq FROM readings JOIN images USING (image_id) "
        "WHERE readings.reader = ? AND readings.occasion = ?",
        (reader, REPEAT),
    )
    return [row[0] for row in rows]


def _stored_plan(connection: sqlite3.Connection, reader: str) -> str | None:
    row = connection.execute(
        "SELECT plan FROM worklist_plans WHERE reader = ?", (reader,)
    ).fetchone()
    return None if row is None else str(row[0])


def _plan_text(plan: OrderPlan) -> str:
    return canonical_json(asdict(plan))


def _count(connection: sqlite3.Connection, reader: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM worklist_orders WHERE reader = ?", (reader,)
    ).fetchone()
    return int(row[0])
