"""The command line: what it prints, what it leaves behind, how it exits."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import launch
from audit_app.commands.console import Commands
from audit_app.errors import AuditError


class Done(NamedTuple):
    """What a command said, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]
COMMANDS = [
    "ui",
    "new",
    "import",
    "train",
    "audit",
    "survey",
    "evaluate",
    "export",
    "check",
    "verify",
    "compare",
    "about",
    "backup",
    "restore",
    "pseudonymise",
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Done:
        done = CliRunner().invoke(launch.app, [str(argument) for argument in arguments])
        return Done(done.exit_code, done.stdout, done.stderr)

    return call


@pytest.fixture
def started(repo_root: Path, tmp_path: Path) -> Run:
    """A command as a user types it, in a process of its own."""

    def call(*arguments: object) -> Done:
        done = subprocess.run(
            [sys.executable, str(repo_root / "launch.py"), *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    Image.fromarray(values).save(folder / "one.png")
    Image.fromarray(255 - values).save(folder / "two.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n not a picture")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example(run, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Example: launch.py" in done.stdout


@pytest.mark.parametrize("group", ["models", "users"])
def test_each_group_shows_an_example_and_its_commands(run, group: str) -> None:
    done = run(group, "somewhere", "add", "--help")
    assert done.returncode == 0
    assert f"Example: launch.py {group}" in done.stdout


def test_help_never_imports_a_model_library(repo_root: Path) -> None:
    code = (
        "import sys; sys.argv = ['launch.py', '--help']; import runpy\n"
        "try: runpy.run_path(r'%s', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('loaded', sorted({'torch', 'gradio', 'open_clip'} & set(sys.modules)))"
    ) % (repo_root / "launch.py")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_wrong_use_exits_2(run) -> None:
    assert run("no-such-command").returncode == 2
    assert run("import", "w").returncode == 2


def test_a_workspace_that_is_none_exits_1_with_one_sentence(run, tmp_path: Path) -> None:
    done = run("check", tmp_path / "nothing")
    assert done.returncode == 1
    assert "is no workspace" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_new_import_check_and_export_do_the_whole_round(
    run: Run, started: Run, tmp_path, pictures
) -> None:
    workspace = tmp_path / "ward"
    assert started("new", workspace).returncode == 0
    imported = run("import", workspace, pictures, "--as", "folder")
    assert imported.returncode == 0, imported.stderr
    assert "2 pictures read, 2 new and 0 known before" in imported.stdout
    assert "broken.png" in imported.stdout
    again = run("import", workspace, pictures, "--as", "folder")
    assert again.returncode == 0
    assert "2 pictures read, 0 new and 2 known before" in again.stdout
    checked = run("check", workspace)
    assert (checked.returncode, checked.stdout.strip()) == (0, "Everything is as it was written.")
    exported = tmp_path / "readings.csv"
    assert run("export", workspace, exported, "--as", "csv").returncode == 0
    with exported.open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.reader(file))


def test_readings_leave_in_every_format_with_a_word_on_what_was_left_out(
    run, tmp_path, pictures
) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    table = pictures / "readings.csv"
    table.write_text(
        "image_path,reader,commit_number,finding,x_min,y_min,x_max,y_max\n"
        "one.png,Mira,1,Edema,1,2,30,40\none.png,Mira,2,Edema,1,2,30,41\n",
        encoding="utf-8",
    )
    assert run("import", workspace, table, "--as", "csv").returncode == 0
    for kind, wrote in (("coco", "2 annotations"), ("yolo", "1 label files")):
        done = run("export", workspace, tmp_path / kind, "--as", kind)
        assert done.returncode == 0, done.stderr
        assert f"Wrote {wrote} to " in done.stdout
    assert "1 earlier version left out" in done.stdout
    refused = run("export", workspace, tmp_path / "sr", "--as", "dicom-sr")
    assert refused.returncode == 1
    assert "no committed reading of a DICOM picture" in " ".join(refused.stderr.split())


def test_check_names_a_changed_and_a_missing_picture(run, tmp_path, pictures) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    run("import", workspace, pictures, "--as", "folder")
    Image.fromarray(np.zeros((64, 80), np.uint8)).save(pictures / "one.png")
    (pictures / "two.png").unlink()
    checked = run("check", workspace)
    assert checked.returncode == 1
    assert any("changed" in line and "one.png" in line for line in checked.stdout.splitlines())
    assert any("missing" in line and "two.png" in line for line in checked.stdout.splitlines())


def test_pictures_that_were_copied_in_are_found_after_the_workspace_moved(
    run, tmp_path, pictures
) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    assert run("import", workspace, pictures, "--as", "folder", "--copy").returncode == 0
    moved = tmp_path / "moved"
    workspace.rename(moved)
    for picture in pictures.iterdir():
        picture.unlink()
    assert run("check", moved).returncode == 0


def test_an_unknown_kind_model_mode_and_format_are_refused_with_what_is_known(
    run, tmp_path, pictures
) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    kind = run("import", workspace, pictures, "--as", "nhi")
    assert kind.returncode == 1
    assert "did you mean 'nih'?" in " ".join(kind.stderr.split())
    model = run("audit", workspace, "--model", "none", "--out", tmp_path / "out")
    assert model.returncode == 1
    mode = run("train", workspace, "--model", "none", "--mode", "xx")
    assert mode.returncode == 1
    assert "choose lp or ft" in " ".join(mode.stderr.split())
    form = run("export", workspace, tmp_path / "x", "--as", "xml")
    assert form.returncode == 1
    assert "known: csv" in " ".join(form.stderr.split())


def test_sharing_without_accounts_exits_1_and_serves_nothing(
    run: Run, started: Run, tmp_path: Path
) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    done = started("ui", workspace, "--share", "--no-browser")
    assert done.returncode == 1
    assert "account" in done.stderr
    assert "Open http" not in done.stdout


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="the rights of files do not bind the root user"
)
def test_the_page_of_a_folder_that_may_not_be_written_is_refused(run: Run, tmp_path: Path) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    workspace.chmod(0o500)
    try:
        done = run("ui", workspace, "--no-browser")
    finally:
        workspace.chmod(0o700)
    assert done.returncode == 1
    assert "no reading could be kept" in done.stderr


def test_an_account_is_added_with_a_password_from_a_file(run, tmp_path: Path) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    secret = tmp_path / "password"
    secret.write_text("a long enough password\n")
    added = run("users", workspace, "add", "mira", "--role", "reader", "--password-file", secret)
    assert added.returncode == 0, added.stderr
    assert "If the page is open, stop it and start it again" in added.stdout
    assert "mira  reader" in run("users", workspace).stdout
    more = run("users", workspace, "add", "omar", "--role", "admin", "--password-file", secret)
    assert more.stdout == "Added omar as admin.\n"
    short = tmp_path / "short"
    short.write_text("abc")
    refused = run("users", workspace, "add", "eva", "--role", "reader", "--password-file", short)
    assert refused.returncode == 1


def test_biomedclip_without_its_weights_says_which_file_to_put_where(run, tmp_path: Path) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    empty = tmp_path / "BiomedCLIP"
    empty.mkdir()
    done = run("models", workspace, "add", "biomedclip", "--path", empty)
    assert done.returncode == 1
    assert "open_clip_config.json" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "What was finished is kept"),
        (typer.Abort(), 130, "What was finished is kept"),
        (OSError(28, "No space left on device", "W"), 1, "W: No space left on device; check"),
        (AuditError("no model was chosen"), 1, "no model was chosen"),
        (KeyError("Doe, Jane"), 1, "KeyError at"),
        (typer.BadParameter("give one"), 2, "give one"),
        (typer.Exit(1), 1, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_ends_a_command_becomes_a_status_and_one_sentence(
    error: BaseException, status: int, sentence: str
) -> None:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None:
        """A second one: Typer makes no group of a single command."""

    done = CliRunner().invoke(app, ["fail"])
    assert done.exit_code == status
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert "Doe" not in done.output


def test_ctrl_c_during_an_import_says_that_it_can_go_on(
    repo_root: Path, run, tmp_path, pictures
) -> None:
    workspace = tmp_path / "ward"
    run("new", workspace)
    for number in range(300):
        (pictures / f"{number}.png").write_bytes((pictures / "one.png").read_bytes())
    importing = subprocess.Popen(
        [sys.executable, str(repo_root / "launch.py"), "import", str(workspace), str(pictures),
         "--as", "folder", "--copy"],
        stderr=subprocess.PIPE, text=True,
        # Whatever runs in the background of a shell without job control ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any((workspace / "images").iterdir()):
        time.sleep(0.02)
    importing.send_signal(signal.SIGINT)
    _, said = importing.communicate(timeout=60)
    assert importing.returncode == 130
    assert "give the same command again" in " ".join(said.split())
    assert "Traceback" not in said
