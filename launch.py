"""Saliency Audit: does a vision-language model look where a radiologist marks?"""

from __future__ import annotations

import os

import typer

from audit_app.commands.about import about
from audit_app.commands.audits import audit, compare, survey, verify
from audit_app.commands.backups import backup, restore
from audit_app.commands.console import Commands
from audit_app.commands.evaluations import evaluate
from audit_app.commands.models import models_app, train
from audit_app.commands.pages import demo, ui
from audit_app.commands.pseudonyms import pseudonymise
from audit_app.commands.users import users_app
from audit_app.commands.workspaces import check, export, import_, new

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Mark findings on radiographs, see where a model looks, measure how well they agree.\n\n"
    "Example: [bold]uv run launch.py[/bold] opens the demo workspace.",
)
app.callback(invoke_without_command=True)(demo)
for command in (
    ui, new, import_, train, audit, verify, compare, survey, evaluate, export, check, about,
    backup, restore, pseudonymise,
):  # fmt: skip
    app.command(name=command.__name__.strip("_"))(command)
app.add_typer(users_app, name="users")
app.add_typer(models_app, name="models")


def main() -> None:
    """Run the command line; exits 0 done, 1 failed with one sentence, 2 wrong use, 130 Ctrl-C."""
    os.umask(0o077)
    app()


if __name__ == "__main__":
    main()
