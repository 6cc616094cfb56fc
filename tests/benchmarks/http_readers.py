"""Fifty readers at once: each signs in over HTTP and marks boxes at a brisk reader's pace.

``python -m tests.benchmarks.http_readers URL N SECONDS < lines of image ids`` prints one JSON line.
In a process of its own, so that its work is not taken for the server's.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

PASSWORD = "correct horse battery"
PAUSE_S = (0.6, 1.4)  # between two edits of one reader; a radiologist needs longer
BOXES_PER_CASE = 8
TIMEOUT_S = 60.0


@dataclass(slots=True)
class Tally:
    """What all readers met."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    n_commits: int = 0


def reader_name(number: int) -> str:
    """The account of one of the readers."""
    return f"reader{number:02d}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and when all readers work; times are those of ``time.monotonic``."""

    url: str
    image_ids: list[str]
    starts: float
    ends: float


async def read(plan: Plan, number: int, tally: Tally) -> None:
    """One reader's work: boxes on one case after the other, each case committed."""
    random_ = random.Random(number)
    async with httpx.AsyncClient(base_url=plan.url, timeout=TIMEOUT_S) as client:
        form = {"username": reader_name(number), "password": PASSWORD}
        answer = await client.post("/login", data=form)
        if answer.status_code != 200:
            tally.errors.append(f"sign-in: {answer.status_code}")
            return
        if time.monotonic() > plan.starts:
            tally.errors.append("sign-in: not done before the start")
        await asyncio.sleep(max(0.0, plan.starts - time.monotonic()))
        await asyncio.sleep(random_.uniform(0, PAUSE_S[1]))
        sequence = 0
        for image_id in plan.image_ids[number:] + plan.image_ids[:number]:
            for version in range(BOXES_PER_CASE):
                if time.monotonic() >= plan.ends:
                    return
                sequence += 1
                await _put(client, image_id, _edit(sequence, version, random_), tally)
                await asyncio.sleep(random_.uniform(*PAUSE_S))
            await _commit(client, image_id, tally)


def _edit(sequence: int, version: int, random_: random.Random) -> dict[str, Any]:
    x, y = random_.randrange(0, 1500), random_.randrange(0, 1500)
    region = {
        "region_id": f"box-{sequence}",
        "finding": "Cardiomegaly",
        "certainty": "definite",
        "box": [x, y, x + 200, y + 200],
        "note": "",
        "shape": None,
    }
    return {
        "client_id": "bench",
        "sequence": sequence,
        "base_version": version,
        "kind": "put",
        "region": region,
    }


async def _put(
    client: httpx.AsyncClient, image_id: str, edit: dict[str, Any], tally: Tally
) -> None:
    start = time.perf_counter()
    try:
        answer = await client.post(f"/audit/readings/{image_id}/edits", json=edit)
    except httpx.HTTPError as error:
        tally.errors.append(f"edit: {type(error).__name__}")
        return
    tally.seconds.append(time.perf_counter() - start)
    if answer.status_code != 200 or answer.json().get("ok") is not True:
        tally.errors.append(f"edit: {answer.status_code} {answer.text[:200]}")


async def _commit(client: httpx.AsyncClient, image_id: str, tally: Tally) -> None:
    body = {"base_version": BOXES_PER_CASE}
    answer = await client.post(f"/audit/readings/{image_id}/commit", json=body)
    tally.n_commits += 1
    if answer.status_code != 200:
        tally.errors.append(f"commit: {answer.status_code} {answer.text[:200]}")


async def read_all(plan: Plan, n_readers: int) -> Tally:
    """What so many readers met."""
    tally = Tally()
    await asyncio.gather(*(read(plan, number, tally) for number in range(n_readers)))
    return tally


def main(url: str, n_readers: int, seconds: float) -> None:
    """Read as that many readers for that long, and print what was met."""
    image_ids = sys.stdin.read().split()
    # Passwords are checked two at a time, so that a small machine is not frozen.
    starts = time.monotonic() + 2.0 + 0.4 * n_readers
    plan = Plan(url, image_ids, starts, starts + seconds)
    tally = asyncio.run(read_all(plan, n_readers))
    facts = {"seconds": tally.seconds, "errors": tally.errors, "n_commits": tally.n_commits}
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
