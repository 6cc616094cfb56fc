"""The command `users`: who may sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, say

users_app = typer.Typer(
    help="Who may sign in.\n\nExample: launch.py users ./ward add mira --role reader"
)


@users_app.callback(invoke_without_command=True)
def users(context: typer.Context, workspace: WorkspacePath) -> None:
    """Who may sign in to a workspace.

    Example: launch.py users ./ward add mira --role reader
    """
    context.obj = workspace
    if context.invoked_subcommand is None:
        with opened(workspace) as (_, store):
            accounts = store.accounts.all()
        for account in accounts:
            say(f"{account.name}  {account.role}{'  disabled' if account.disabled else ''}")
        if not accounts:
            say("No accounts: the page opens on this computer only, for one local reader.")


@users_app.command(name="add")
def add_user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Sign-in name.")],
    role: Annotated[str, typer.Option(help="reader, auditor or admin.")],
    password_file: Annotated[
        Path | None, typer.Option(help="Read the password from this file; asked for otherwise.")
    ] = None,
) -> None:
    """Add an account.

    Example: launch.py users ./ward add mira --role reader
    """
    from audit_app.accounts import add_account, password_from_file

    if password_file is not None:
        password = password_from_file(password_file)
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    with opened(context.obj) as (_, store):
        add_account(store, name, role, password)
        store.log.add("account added", "command line", name, {"role": role})
    say(f"Added {name} as {role}.")
