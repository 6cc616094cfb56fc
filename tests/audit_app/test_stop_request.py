"""A page that is asked to stop, at whatever moment, stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from audit_app.stop_request import stop_signal

N_PROCESSES = 1500
# Each process is asked in another microsecond after the one in which it begins to wait. One that
# was asked and still waits is ended by its alarm.
PROGRAM = f"""
import os, signal, time
from audit_app.stop_request import stop_signal

for number in range({N_PROCESSES}):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        with stop_signal() as stop:
            os.write(write, b"x")
            stop.wait()
        os._exit(0)
    os.read(read, 1)
    until = time.perf_counter() + number % 60 / 1e6
    while time.perf_counter() < until:
        pass
    os.kill(child, signal.SIGTERM)
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"process {{number}} ended with {{status}}"
    os.close(read)
    os.close(write)
print("ALL STOPPED")
"""


def test_a_signal_in_the_moment_in_which_the_wait_begins_ends_it(repo_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=repo_root, capture_output=True, text=True, timeout=120
    )
    assert "ALL STOPPED" in done.stdout, done.stderr


def test_another_thread_may_ask_also_when_it_is_over() -> None:
    with stop_signal() as stop:
        threading.Timer(0.05, stop.set).start()
        stop.wait()
    stop.set()


def test_another_signal_does_not_end_the_wait() -> None:
    seen: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append("another"))
    try:
        with stop_signal() as stop:
            os.kill(os.getpid(), signal.SIGUSR1)
            threading.Timer(0.2, lambda: (seen.append("the thread"), stop.set())).start()
            stop.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == ["another", "the thread"]


def test_what_signals_did_before_comes_back() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with stop_signal():
        assert signal.getsignal(signal.SIGTERM) is not handler
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.set_wakeup_fd(-1) == -1
