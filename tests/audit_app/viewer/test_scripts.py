"""The viewer's scripts: valid, tested by node's own runner, and of the same greys as Python."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from annotations.imaging.display import display_table
from annotations.imaging.radiograph import Radiograph, Window

HERE = Path(__file__).parent
TEST_FILES = sorted(HERE.glob("*.test.mjs"))


@pytest.fixture(scope="module")
def node() -> str:
    """Where node is; without it these tests are skipped (the browser tests still run them)."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node on this machine: install it to run the unit tests of the scripts")
    return found


@pytest.fixture(scope="module")
def scripts(repo_root: Path) -> list[Path]:
    return sorted((repo_root / "audit_app" / "viewer").glob("*.js"))


def test_every_script_parses(node: str, scripts: list[Path]) -> None:
    assert len(scripts) > 15
    for script in scripts:
        checked = subprocess.run([node, "--check", script], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.name)
def test_the_scripts_unit_tests_pass(node: str, file: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NODE_OPTIONS"}
    result = subprocess.run(
        [node, "--test", file], capture_output=True, text=True, env=environment, timeout=120
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_no_script_writes_markup_from_text(scripts: list[Path]) -> None:
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in text.replace("without innerHTML", ""), f"{way} in {script.name}"


WINDOWS = [
    Window(128.0, 101.0, "a", "LINEAR"),
    Window(127.5, 255.0, "b", "LINEAR_EXACT"),
    Window(37299.25, 45403.5, "c", "LINEAR_EXACT"),
    Window(600.0, 1.0, "d", "LINEAR"),
    Window(2000.0, 3200.0, "e", "LINEAR"),
    Window(2000.0, 1000.0, "f", "SIGMOID"),
]


def test_page_and_server_give_every_value_the_same_grey(node: str, repo_root: Path) -> None:
    cases = list(itertools.product(WINDOWS, (8, 12, 16), ("MONOCHROME1", "MONOCHROME2")))
    asked = [
        [{"kind": "window", **asdict(window)}, bits, photometric == "MONOCHROME1"]
        for window, bits, photometric in cases
    ]
    module = (repo_root / "audit_app" / "viewer" / "windowing.js").as_uri()
    program = (
        f"import {{ displayTable }} from '{module}';"
        f"const tables = {json.dumps(asked)}.map((one) => [...displayTable(...one)]);"
        "console.log(JSON.stringify(tables));"
    )
    command = [node, "--input-type=module", "--eval", program]
    shown = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for (window, bits, photometric), table in zip(cases, shown, strict=True):
        pixels = np.zeros((1, 1), dtype=np.uint8 if bits == 8 else np.uint16)
        expected = display_table(Radiograph(pixels, photometric, bits), window)
        assert table == expected.tolist(), f"{window}, {bits} bit, {photometric}"
