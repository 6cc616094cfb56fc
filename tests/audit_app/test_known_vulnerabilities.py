"""No installed package has a known vulnerability that a newer version mends, asked of pip-audit."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

TIMEOUT_S = 240


@pytest.fixture(scope="module")
def audited() -> list[dict[str, Any]]:
    """What the database says of each package that it knows; skipped where it cannot be asked."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip-audit's database gave no answer within {TIMEOUT_S} s")
    if not done.stdout.strip():
        pytest.skip(f"pip-audit's database cannot be reached: {done.stderr.strip()[-200:]}")
    packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    if not known:
        pytest.skip(f"pip-audit's database knows none of the {len(packages)} packages from here")
    return known


def test_no_package_has_a_vulnerability_that_a_newer_version_mends(
    audited: list[dict[str, Any]],
) -> None:
    found = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {one['fix_versions']}"
        for package in audited
        for one in package["vulns"]
        if one["fix_versions"]
    ]
    assert found == []
