"""What every command shares: the console, one progress bar, errors as one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from annotations.store import Store
    from annotations.workspace import Workspace

# The commands' own imports stand inside them: --help and the first page must not wait for torch.

CTRL_C_STATUS = 130
_IMAGE_ID = re.compile(r"\b[0-9a-f]{32}\b")
STOPPED = "Stopped. What was finished is kept; give the same command again to go on."

console = Console(stderr=True)

WorkspacePath = Annotated[Path, typer.Argument(metavar="W", help="Folder of the workspace.")]
Report = Callable[[int, int, str], bool]


class Commands(TyperGroup):
    """All commands: whatever ends one early becomes one sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """What the command returns."""
        from audit_app.errors import DOMAIN_ERRORS

        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            # Here, because Typer makes a silent exit of it.
            console.print(STOPPED)
            raise typer.Exit(CTRL_C_STATUS) from None
        except BrokenPipeError:
            raise  # the next command of a pipe has read enough; Typer ends without a word
        except DOMAIN_ERRORS as error:
            raise _failed(str(error)) from None
        except OSError as error:
            raise _failed(describe_os_error(error)) from None
        except (typer.Exit, TyperException):
            raise  # the command's own status; wrong use
        except Exception as error:  # noqa: BLE001 - the last line: place without values, which may name patients
            from audit_app.guard import where_it_failed

            raise _failed(
                f"the program failed, not what you entered: {where_it_failed(error)}; "
                "report this line"
            ) from None


def _failed(sentence: str) -> typer.Exit:
    console.print(sentence, style="red", markup=False, highlight=False)
    return typer.Exit(1)


def describe_os_error(error: OSError) -> str:
    """What the system refused, and on which file."""
    reason = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{reason}; check the path, its rights and the free space, then try again"


@contextmanager
def opened(root: Path) -> Iterator[tuple[Workspace, Store]]:
    """The workspace at ``root`` and its store, closed afterwards."""
    from annotations.store import Store
    from annotations.workspace import open_workspace
    from audit_app.errors import DOMAIN_ERRORS

    workspace = open_workspace(root)
    with Store.open(workspace) as store:
        try:
            yield workspace, store
        except DOMAIN_ERRORS as error:
            error.args = (with_names(store, str(error)),)
            raise


def with_names(store: Store, text: str) -> str:
    """The text with the name behind each picture's id, for who sits at this computer."""
    ids = set(_IMAGE_ID.findall(text))
    names = store.trail.image_names(ids) if ids else {}

    def named(found: re.Match[str]) -> str:
        name = names.get(found[0])
        return f"{found[0]} ('{name}')" if name else found[0]

    return _IMAGE_ID.sub(named, text)


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """A bar for anything over a second. Its report never asks to stop: Ctrl-C does."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, note="")

        def report(done: int, total: int, message: str) -> bool:
            bar.update(task, completed=done, total=total or None, note=message)
            return False

        yield report


def say(line: str) -> None:
    """One line of a command's result."""
    typer.echo(line)
