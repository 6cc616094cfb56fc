"""Whether this computer's clock can be right, judged by the last entry of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from annotations.store import Store

TOPIC: Final = "clock"
# Computers that share a drive may differ by this much without harm.
TOLERANCE: Final = timedelta(minutes=10)


def clock_problem(store: Store, moment: datetime | None = None) -> str:
    """A sentence when the log's last entry lies in the future, "" when the clock may be right.

    Args:
        store: The workspace's store.
        moment: The present time; asked of the computer when left out.
    """
    last = store.log.rows(limit=1)
    moment = moment or datetime.now(UTC)
    if not last or datetime.fromisoformat(last[0].at) <= moment + TOLERANCE:
        return ""
    return (
        f"This computer's clock says {moment:%Y-%m-%d %H:%M} UTC, but the last entry of this "
        f"workspace was made at {last[0].at[:16].replace('T', ' ')} UTC. One of the two is wrong: "
        "set the clock. Nothing is lost, the log keeps the order of what was done."
    )
