"""The command `users`: who may sign in, and as what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit_app.commands.console import WorkspacePath, opened, say

users_app = typer.Typer(
    help="Who may sign in.\n\nExample: launch.py users ./ward add mira --role reader"
)

ACTOR = "command line"
Name = Annotated[str, typer.Argument(help="Sign-in name.")]
Role = Annotated[str, typer.Option(help="reader, auditor or admin.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="Read the password from this file; asked for otherwise.")
]


@users_app.callback(invoke_without_command=True)
def users(context: typer.Context, workspace: WorkspacePath) -> None:
    """Who may sign in to a workspace.

    Example: launch.py users ./ward add mira --role reader
    """
    context.obj = workspace
    if context.invoked_subcommand is None:
        list_users(context)


@users_app.command(name="list")
def list_users(context: typer.Context) -> None:
    """Each account with its role.

    Example: launch.py users ./ward list
    """
    with opened(context.obj) as (_, store):
        accounts = store.accounts.all()
    for account in accounts:
        say(f"{account.name}  {account.role}{'  disabled' if account.disabled else ''}")
    if not accounts:
        say("No accounts: the page opens on this computer only, for one local reader.")
    elif not any(one.role == "admin" and not one.disabled for one in accounts):
        say("Nobody can manage this workspace from the page: give somebody the role admin.")


@users_app.command(name="add")
def add_user(
    context: typer.Context, name: Name, role: Role, password_file: PasswordFile = None
) -> None:
    """Add an account.

    Example: launch.py users ./ward add mira --role reader
    """
    from audit_app.accounts import add_account

    password = _password(password_file)
    with opened(context.obj) as (_, store):
        account = add_account(store, name, role, password)
        store.log.add("account added", ACTOR, account.name, {"role": role})
        is_first = len(store.accounts.all()) == 1
    say(f"Added {name} as {role}.")
    if is_first:
        say("If the page is open, stop it and start it again: until then nobody can work in it.")


@users_app.command(name="role")
def change_role(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Argument(help="reader, auditor or admin.")],
) -> None:
    """Give an account another role; it counts at once, also on an open page.

    Example: launch.py users ./ward role mira auditor
    """
    from audit_app.accounts import set_role

    with opened(context.obj) as (_, store):
        account = set_role(store, name, role)
        store.log.add("role changed", ACTOR, account.name, {"role": role})
    say(f"{name} is {role} now.")


@users_app.command(name="passwd")
def change_password(context: typer.Context, name: Name, password_file: PasswordFile = None) -> None:
    """Give an account another password and end its sessions.

    Example: launch.py users ./ward passwd mira
    """
    from audit_app.accounts import set_password

    password = _password(password_file)
    with opened(context.obj) as (_, store):
        account = set_password(store, name, password)
        store.log.add("password changed", ACTOR, account.name, {})
    say(f"{name} has a new password; whoever was signed in with the old one is signed out.")


@users_app.command(name="disable")
def disable_user(context: typer.Context, name: Name) -> None:
    """Let an account sign in no more and end its sessions; its readings stay.

    Example: launch.py users ./ward disable mira
    """
    from audit_app.session import canonical_name

    with opened(context.obj) as (_, store):
        account = store.accounts.disable(canonical_name(name))
        store.log.add("account disabled", ACTOR, account.name, {})
    say(f"{name} cannot sign in any more.")


@users_app.command(name="enable")
def enable_user(context: typer.Context, name: Name) -> None:
    """Let a disabled account sign in again.

    Example: launch.py users ./ward enable mira
    """
    from audit_app.session import canonical_name

    with opened(context.obj) as (_, store):
        account = store.accounts.enable(canonical_name(name))
        store.log.add("account enabled", ACTOR, account.name, {})
    say(f"{name} can sign in again.")


@users_app.command(name="signout")
def sign_out_user(context: typer.Context, name: Name) -> None:
    """End every session of an account, wherever its page is open.

    Example: launch.py users ./ward signout mira
    """
    from audit_app.accounts import find_account

    with opened(context.obj) as (_, store):
        account = find_account(store, name)
        store.log.add("signed out everywhere", ACTOR, account.name, {})
    say(f"{name} is signed out everywhere.")


def _password(file: Path | None) -> str:
    """The password from a file, or asked for twice."""
    from audit_app.accounts import password_from_file

    if file is not None:
        return password_from_file(file)
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
