"""The page of a workspace whose database is damaged: what is left, and the way back. Reads only."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from annotations.errors import DamagedWorkspace, StoreError
from annotations.records import LogRow
from annotations.store import Store
from annotations.store.account_changes import keep_disabled
from annotations.store.backup import write_backup
from annotations.store.restore import (
    BackupFacts,
    describe_backups,
    newest_sound_backup,
    restore_backup,
)
from annotations.workspace import Workspace
from audit_app.app import PRIVATE, TITLE, announce, build_look
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.serving import start
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.stop_request import StopRequest, stop_signal

log = logging.getLogger(__name__)

PROGRAM: Final = "rescue page"
ALIVE_ROUTE: Final = "/audit/rescue"
# Until the answer has reached the page, and the page its script.
STOP_AFTER_S: Final = 1.0
BACKUP_HEADERS: Final = ["Made (UTC)", "Images", "Committed", "Log entries", "State"]
READING_HEADERS: Final = ["Case", "Reader", "Committed (UTC)", "Findings"]
MAX_READINGS: Final = 500
MAX_EVENTS: Final = 1000
EXPLANATION: Final = """# This workspace's database is damaged or missing

**Nothing can be marked until a backup is put in its place.** A damaged file was left exactly as
it is; restoring moves it aside and does not change it. Pictures, models and exports are separate
files and are not touched.

What was found stands in the terminal in which the program was started."""
WAY_BACK: Final = """### The way back

An admin chooses a sound backup and restores it; everybody signs in again, and the page then opens
as usual. What was done after that backup is missing from it, and stays in the damaged file only;
the terminal and the log say whose account is another one then. The same in the terminal, after
stopping this program: `launch.py restore W --list`, then `launch.py restore W NAME`."""
NO_BACKUP: Final = """### There is no sound backup in this workspace

Restore an archive that was kept elsewhere (`launch.py restore W FILE.zip`), or let somebody who
knows SQLite read what is left with `sqlite3 audit.sqlite .recover`, on a copy."""
# The page that comes afterwards knows no such address.
RELOAD: Final = """() => {
  const ask = () => fetch('/audit/rescue', {cache: 'no-store'}).then(
    (answer) => answer.ok ? setTimeout(ask, 1000) : window.location.reload(),
    () => setTimeout(ask, 1000));
  setTimeout(ask, 1500);
}"""


def open_or_rescue(workspace: Workspace, settings: Settings) -> Store:
    """The store; of a damaged one a page is served first, on which a backup can be restored.

    Raises:
        DamagedWorkspace: If the page was stopped and nothing was restored.
        AuditError: If the page must not or cannot be served like this.
    """
    while True:
        try:
            return Store.open(workspace)
        except DamagedWorkspace as error:
            log.error("%s", error)
            if not serve_rescue(workspace, settings):
                raise


def serve_rescue(workspace: Workspace, settings: Settings) -> bool:
    """Serve the page until it is stopped; whether a backup was restored."""
    # Never through a share link: what is shown here is for those who keep the workspace.
    settings = replace(settings, share=False)
    with _stand_in(workspace) as store, stop_signal() as stop:
        rescue = Rescue(Services(workspace, store, settings), stop)
        demo = rescue.build()
        quiet = replace(settings, open_browser=False)
        running = start(
            demo, rescue.services, quiet, [Route(ALIVE_ROUTE, _is_alive)], look=build_look()
        )
        try:
            announce(running)
            if settings.open_browser:
                webbrowser.open(running.url)
            stop.wait()
        finally:
            running.close()
            rescue.tell_events()
    return rescue.is_restored


def _is_alive(_request: Request) -> Response:
    return JSONResponse({"rescue": True}, headers={"Cache-Control": "no-store"})


@contextmanager
def _stand_in(workspace: Workspace) -> Iterator[Store]:
    """A throw-away copy of the newest sound backup: it knows the accounts and what was read."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="rescue-", dir=workspace.cache))
    except OSError as error:
        raise StoreError(
            f"the database is damaged, and no page can be made for it in {workspace.cache}: "
            f"{error.strerror}; free some space or check the rights"
        ) from error
    try:
        backup = newest_sound_backup(workspace.backups)
        copy = folder / "audit.sqlite"
        if backup is not None:
            write_backup(backup, copy)
        with Store(copy, workspace.settings.findings) as store:
            keep_disabled(store, workspace.database, PROGRAM)
            yield store
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class Rescue:
    """The page and what was done on it."""

    services: Services
    stop: StopRequest
    is_restored: bool = False
    first_row: int = field(init=False)

    def __post_init__(self) -> None:
        self.first_row = self.services.store.log.head()[0] + 1

    def build(self) -> gr.Blocks:
        """What is left, the backups, and the button."""
        demo: gr.Blocks
        with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as demo:
            gr.Markdown(EXPLANATION, elem_id="rescue-explanation")
            way_back = gr.Markdown(elem_id="rescue-way-back")
            backups = gr.Dataframe(
                headers=BACKUP_HEADERS,
                interactive=False,
                label="Backups, the newest first",
                elem_id="rescue-backups",
            )
            with gr.Row(elem_classes="choices"):
                choice = gr.Dropdown([], label="Backup to restore", elem_id="rescue-choice")
                button = gr.Button(
                    "Restore this backup", variant="primary", interactive=False, elem_id="rescue-do"
                )
            said = gr.Markdown(elem_id="rescue-said")
            readings = gr.Dataframe(
                headers=READING_HEADERS,
                interactive=False,
                label="Committed readings in the newest sound backup (to look at only)",
                elem_id="rescue-readings",
            )
            on = handler(self.services)
            on_admin = handler(self.services, "admin")

            @on
            def fill(visitor: Visitor) -> list[Any]:
                return self.filled(visitor)

            @on_admin
            def put_back(name: str | None, visitor: Visitor) -> str:
                return self.restore(name, visitor)

            demo.load(fill, None, [way_back, backups, choice, button, readings], **PRIVATE)
            button.click(put_back, choice, said, **PRIVATE).success(None, js=RELOAD, **PRIVATE)
        return demo

    def filled(self, visitor: Visitor) -> list[Any]:
        """The backups, which of them may be restored by whom, and what was read."""
        backups = describe_backups(self.services.workspace.backups)
        sound = [one for one in backups if not one.problem]
        choices = [(_choice(one), one.path.name) for one in sound]
        may = visitor.role == "admin" and bool(sound)
        chosen = sound[0].path.name if sound else None
        return [
            WAY_BACK if sound else NO_BACKUP,
            [_backup_row(one) for one in backups],
            gr.Dropdown(choices=choices, value=chosen, interactive=may),
            gr.Button(interactive=may),
            self._readings(visitor),
        ]

    def restore(self, name: str | None, visitor: Visitor) -> str:
        """Put the chosen backup in place and end this page.

        Raises:
            AuditError: If it is none of the workspace's backups.
            DamagedWorkspace: If it is not sound.
        """
        workspace = self.services.workspace
        known = {one.path.name: one.path for one in describe_backups(workspace.backups)}
        if name not in known:
            raise AuditError("choose one of the backups in the list; it may have been removed")
        if self.is_restored:
            raise AuditError("a backup was restored already; the page opens again by itself")
        done = restore_backup(workspace, known[name], actor=visitor.name, events=self._events())
        self.is_restored = True
        log.warning("restored %s; what was there lies in %s", done.backup, done.aside)
        for change in done.accounts or ():
            log.warning("account %s", change)
        threading.Timer(STOP_AFTER_S, self.stop.set).start()
        return "**Restored.** The page opens again in a few seconds."

    def tell_events(self) -> None:
        """Put what happened into the program's log, unless a restored database's own has it."""
        if not self.is_restored:
            for row in self._events():
                log.warning(
                    "on the rescue page at %s: %s, %s, %s, %s",
                    row.at, row.kind, row.actor or "nobody", row.subject, row.details,
                )  # fmt: skip

    def _events(self) -> list[LogRow]:
        """What happened on this page, such as sign-ins: its own log ends with it."""
        newest = self.services.store.log.rows(limit=MAX_EVENTS)
        return [row for row in reversed(newest) if row.seq >= self.first_row]

    def _readings(self, visitor: Visitor) -> list[list[str]]:
        """A reader sees the own ones, auditors and admins all."""
        store = self.services.store
        readers = [visitor.name] if visitor.role == "reader" else None
        names = store.images.names()
        found = store.readings.committed(latest=True, blinded_only=False, readers=readers)
        return [
            [
                names.get(one.image_id, ""),
                one.reader,
                one.committed_at[:16].replace("T", " "),
                ", ".join(sorted({region.finding for region in one.regions})) or "No Finding",
            ]
            for one in found[:MAX_READINGS]
        ]


def _choice(backup: BackupFacts) -> str:
    return f"{backup.made_at:%Y-%m-%d %H:%M:%S} UTC, {backup.n_committed:,} committed readings"


def _backup_row(backup: BackupFacts) -> list[str]:
    made_at = f"{backup.made_at:%Y-%m-%d %H:%M:%S}"
    if backup.problem:
        return [made_at, "", "", "", "not sound"]
    counts = (backup.n_images, backup.n_committed, backup.n_log)
    return [made_at, *(f"{count:,}" for count in counts), "sound"]
