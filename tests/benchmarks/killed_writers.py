"""Writers that are killed in the middle of their edits, and what is left of what they were told."""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotations.records import Edit, Region
from annotations.regions import Box
from annotations.store import Store
from annotations.workspace import Workspace, open_workspace

N_WRITERS = 4
LIFE_S = (0.05, 0.3)  # from its first acknowledgement to its death


@dataclass(frozen=True, slots=True)
class KillResult:
    """What 200 deaths did."""

    n_kills: int
    n_acknowledged: int
    n_lost: int  # acknowledged, but not in the reading
    n_torn: int  # readings whose boxes and version do not fit together
    n_problems: int  # sentences of the full check, log chain included


@dataclass(slots=True)
class _Writer:
    """One writing process: its reader, its number and the pipe of its acknowledgements."""

    reader: str
    life: int
    pid: int
    pipe: int
    dies_at: float | None = None
    n_said: int = 0
    text: str = ""


@dataclass(slots=True)
class _Tally:
    """What each reader's writers were told is kept."""

    acknowledged: dict[str, set[str]] = field(default_factory=dict)


def kill_writers(workspace: Workspace, image_ids: Sequence[str], n_kills: int) -> KillResult:
    """Let four processes edit at once and kill one after the other, until so many are dead.

    Each is forked from this process before it opens the store, writes box after box into the
    reading of its own reader, and says each one's id when the store has acknowledged it.
    """
    random_ = random.Random(0)
    tally = _Tally()
    writers = [
        _start(workspace, image_ids, f"writer {i}", 0) for i in range(min(N_WRITERS, n_kills))
    ]
    n_dead = 0
    try:
        while writers:
            _listen(writers, tally, random_)
            for writer in [one for one in writers if _is_due(one)]:
                _kill(writer, tally)
                writers.remove(writer)
                n_dead += 1
                if n_dead + len(writers) < n_kills:
                    writers.append(_start(workspace, image_ids, writer.reader, writer.life + 1))
    finally:
        for writer in writers:
            _kill(writer, tally)
    return _judge(workspace, image_ids, n_dead, tally)


def _start(workspace: Workspace, image_ids: Sequence[str], reader: str, life: int) -> _Writer:
    pipe, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(pipe)
        try:
            _write_for_ever(workspace.root, image_ids, reader, life, end)
        except BaseException as error:  # noqa: BLE001 - the child of a fork must never return
            print(f"{reader}: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(1)
    os.close(end)
    os.set_blocking(pipe, False)
    return _Writer(reader, life, pid, pipe)


def _write_for_ever(
    root: Path, image_ids: Sequence[str], reader: str, life: int, pipe: int
) -> None:
    with Store.open(open_workspace(root)) as store:
        for number in range(100_000):
            image_id = image_ids[number % len(image_ids)]
            version = store.readings.get(image_id, reader).version
            region = Region(f"k{life}-{number}", "Cardiomegaly", "definite", Box(1, 1, 50, 50))
            edit = Edit(f"life{life}", number, image_id, version, "put", region)
            store.readings.apply(edit, reader)
            os.write(pipe, f"{image_id}/{region.region_id}\n".encode())


def _listen(writers: Sequence[_Writer], tally: _Tally, random_: random.Random) -> None:
    ready, _, _ = select.select([one.pipe for one in writers], [], [], 0.01)
    for writer in writers:
        if writer.pipe in ready:
            _read(writer, tally)
        if writer.dies_at is None and writer.n_said:
            writer.dies_at = time.monotonic() + random_.uniform(*LIFE_S)


def _read(writer: _Writer, tally: _Tally) -> None:
    try:
        data = os.read(writer.pipe, 1 << 16)
    except BlockingIOError:
        return
    *whole, writer.text = (writer.text + data.decode()).split("\n")
    writer.n_said += len(whole)
    tally.acknowledged.setdefault(writer.reader, set()).update(whole)


def _is_due(writer: _Writer) -> bool:
    return writer.dies_at is not None and time.monotonic() >= writer.dies_at


def _kill(writer: _Writer, tally: _Tally) -> None:
    os.kill(writer.pid, signal.SIGKILL)
    os.waitpid(writer.pid, 0)
    # What it said before it died still stands in the pipe.
    _read(writer, tally)
    os.close(writer.pipe)


def _judge(
    workspace: Workspace, image_ids: Sequence[str], n_dead: int, tally: _Tally
) -> KillResult:
    n_lost = n_torn = n_acknowledged = 0
    with Store.open(workspace) as store:
        for reader, said in tally.acknowledged.items():
            n_acknowledged += len(said)
            kept: set[str] = set()
            for image_id in image_ids:
                reading = store.readings.get(image_id, reader)
                # Every edit put one new box.
                n_torn += len(reading.regions) != reading.version
                kept |= {f"{image_id}/{region.region_id}" for region in reading.regions}
            n_lost += len(said - kept)
        n_problems = len(store.check(files=False))
    return KillResult(n_dead, n_acknowledged, n_lost, n_torn, n_problems)
