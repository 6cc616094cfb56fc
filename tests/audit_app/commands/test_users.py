"""The command `users` and `about`, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from annotations.store import Store
from annotations.workspace import create_workspace, open_workspace
from audit_app.supply import FORBIDDING, Package, forbidden, packages
from launch import app

PASSWORD = "correct horse battery"


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    return create_workspace(tmp_path / "ward", name="ward").root


def run(*words: str | Path, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def mira(ward: Path, tmp_path: Path) -> Path:
    (tmp_path / "password").write_text(PASSWORD)
    run("users", ward, "add", "mira", "--role", "reader", "--password-file", tmp_path / "password")
    return ward


def rows(root: Path) -> list[tuple[str, str, str]]:
    with Store.open(open_workspace(root)) as store:
        return [(row.kind, row.actor, row.subject) for row in store.log.rows(limit=100)]


def test_an_account_is_listed_with_its_role_and_the_missing_admin_is_said(mira: Path) -> None:
    listed = run("users", mira, "list")
    assert "mira  reader" in listed
    assert "give somebody the role admin" in listed
    assert run("users", mira) == listed


@pytest.mark.parametrize(
    ("words", "said", "kind"),
    [
        (("role", "mira", "admin"), "mira is admin now", "role changed"),
        (("disable", "mira"), "cannot sign in any more", "account disabled"),
        (("enable", "mira"), "can sign in again", "account enabled"),
        (("signout", "mira"), "signed out everywhere", "signed out everywhere"),
    ],
)
def test_every_change_is_said_and_logged(
    mira: Path, words: tuple[str, ...], said: str, kind: str
) -> None:
    assert said in run("users", mira, *words)
    assert rows(mira)[0] == (kind, "command line", "mira")


def test_a_new_password_is_logged_without_it(mira: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another long one")
    said = run("users", mira, "passwd", "mira", "--password-file", tmp_path / "other")
    assert "signed out" in said
    assert rows(mira)[0] == ("password changed", "command line", "mira")
    assert "another" not in str(rows(mira)) + said


def test_a_role_and_a_state_are_kept(mira: Path) -> None:
    run("users", mira, "role", "mira", "auditor")
    run("users", mira, "disable", "mira")
    assert "mira  auditor  disabled" in run("users", mira, "list")


@pytest.mark.parametrize(
    "words", [("role", "nobody", "admin"), ("disable", "nobody"), ("signout", "nobody"),
              ("role", "mira", "owner")],
)  # fmt: skip
def test_an_unknown_account_or_role_exits_1_and_logs_nothing(
    mira: Path, words: tuple[str, ...]
) -> None:
    before = rows(mira)
    run("users", mira, *words, status=1)
    assert rows(mira) == before


def test_a_time_for_the_link_that_is_none_exits_1_before_anything_is_served(mira: Path) -> None:
    said = run("ui", mira, "--share", "--for", "soon", status=1)
    assert "soon" in said
    assert "Open http" not in said


def test_about_names_versions() -> None:
    said = run("about")
    for word in ("Saliency Audit", "SQLite", "gradio 6.31", "Not for clinical use"):
        assert word in said


def test_the_bill_of_materials_is_valid_and_holds_what_is_installed(tmp_path: Path) -> None:
    run("about", "--sbom", "--out", tmp_path / "bom.json")
    text = (tmp_path / "bom.json").read_text(encoding="utf-8")
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {one["name"]: one for one in bill["components"]}
    assert {"gradio", "torch", "pydicom", "starlette"} <= set(components)
    assert components["gradio"]["purl"] == f"pkg:pypi/gradio@{components['gradio']['version']}"
    assert len(bill["dependencies"]) == len(components) + 1


def test_every_package_has_a_licence_and_none_forbids_the_use() -> None:
    found = packages()
    assert [one.name for one in found if one.licence == "unknown"] == []
    assert forbidden(found) == []
    said = run("about", "--licences")
    assert "gradio 6.31.0: Apache-2.0" in said
    assert "None of these licences forbids the use." in said


@pytest.mark.parametrize(
    "licence", ["CC-BY-NC-4.0", "Free for non-commercial use", "AGPL-3.0-only", "SSPL-1.0"]
)
def test_a_licence_that_forbids_the_use_is_found(licence: str) -> None:
    assert FORBIDDING.search(licence)
    assert forbidden([Package("x", "1", licence, ())])
