"""The commands `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, say

if TYPE_CHECKING:
    from annotations.store.restore import BackupFacts, Restored
    from annotations.workspace import Workspace

ACTOR = "command line"


def backup(
    workspace: WorkspacePath,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE.zip",
            help="Write one file to keep elsewhere: database, settings and key.",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="With --to: also the copied pictures and the models' files."),
    ] = False,
) -> None:
    """Make a checked backup of a workspace, also while its page is open.

    Example: launch.py backup ./ward --to /mnt/safe/ward.zip
    """
    if everything and to is None:
        raise typer.BadParameter("--all needs --to FILE.zip")
    with opened(workspace) as (opened_workspace, store):
        if to is not None:
            from annotations.archive import write_archive

            made = write_archive(opened_workspace, store, to, everything=everything)
            said = f"Wrote {to} ({made.n_files} files, {_size(made.n_bytes)}), checked."
            name = to.name
        else:
            from datetime import timedelta

            path = store.backup_if_due(opened_workspace.backups, every=timedelta(0))
            name = path.name if path else ""
            said = f"Wrote {path}, checked."
        store.log.add("backup", ACTOR, name, {"everything": everything})
    say(said)


def restore(
    workspace: WorkspacePath,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BACKUP]",
            help="A backup or an archive; the newest sound backup of W when left out.",
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list the backups of W.")] = False,
) -> None:
    """Put a backup in the place of a workspace's database; what was there is kept aside.

    Example: launch.py restore ./ward --list
    """
    if source is not None and source.suffix.lower() == ".zip":
        from annotations.archive import restore_archive

        done = restore_archive(workspace, source, actor=ACTOR)
        say(f"Restored {workspace} from {source}.")
        _say_what_was_replaced(done)
        return
    from annotations.workspace import open_workspace

    at = open_workspace(workspace)
    if listed:
        _say_backups(at)
    else:
        _restore_database(at, source)


def _say_backups(workspace: Workspace) -> None:
    from annotations.store.restore import describe_backups

    backups = describe_backups(workspace.backups)
    for one in backups:
        say(describe(one))
    if not backups:
        say(f"There is no backup in {workspace.backups}.")


def describe(backup: BackupFacts) -> str:
    """One line about a backup."""
    state = f"NOT SOUND: {backup.problem}" if backup.problem else "sound"
    return (
        f"{backup.path.name}  {backup.made_at:%Y-%m-%d %H:%M} UTC  {_size(backup.n_bytes)}  "
        f"{backup.n_images:,} images  {backup.n_committed:,} committed  "
        f"{backup.n_log:,} log entries  {state}"
    )


def _restore_database(workspace: Workspace, source: Path | None) -> None:
    from annotations.errors import DamagedWorkspace
    from annotations.store.restore import newest_sound_backup, restore_backup

    chosen = source or newest_sound_backup(workspace.backups)
    if chosen is None:
        raise DamagedWorkspace(
            f"there is no sound backup in {workspace.backups}; give an archive (FILE.zip) or a "
            "backup from elsewhere"
        )
    if not chosen.exists() and (workspace.backups / chosen.name).exists():
        chosen = workspace.backups / chosen.name
    done = restore_backup(workspace, chosen, actor=ACTOR)
    say(f"Restored {done.backup}.")
    _say_what_was_replaced(done)


def _say_what_was_replaced(done: Restored | None) -> None:
    """What lies aside now, what it had more, and whose accounts are not as they were."""
    if done is None or done.aside is None:
        return
    say(f"What was there before lies, untouched, in {done.aside}.")
    if done.n_later is None:
        say("How much newer that was cannot be read from it.")
    elif done.n_later:
        say(f"It had {done.n_later:,} log entries that the backup has not.")
    if done.accounts is None:
        say(
            "Its accounts cannot be read: one that was disabled, or whose role or password was "
            "changed after the backup, is as it was then. Look at: launch.py users W list"
        )
    for change in done.accounts or ():
        say(f"Account {change}.")


def _size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
