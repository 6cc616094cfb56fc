"""What this program is made of: the packages that it needs, with versions and licences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from audit_app.errors import AuditError

PROJECT_FILE: Final = Path(__file__).resolve().parent.parent / "pyproject.toml"
UNKNOWN: Final = "unknown"
# Words of licences that forbid this use: research in a hospital, a service in its network.
FORBIDDING: Final = re.compile(
    r"non-?commercial|\bNC\b|CC-BY-NC|\bAGPL|Affero|\bSSPL|Commons Clause|evaluation only", re.I
)
# Licences that packages name in words, by what they are called today (spdx.org).
_SPDX: Final = {
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
    "psfl": "PSF-2.0",
    "public domain": "LicenseRef-Public-Domain",
    "python software foundation license": "PSF-2.0",
}
# The package says nothing itself; its publisher's page does.
_KNOWN: Final = {"cuda-toolkit": "LicenseRef-NVIDIA-Proprietary"}
_LONGEST_NAME: Final = 60


class UnreadableProject(AuditError):
    """A project file that does not say what the program needs."""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package.

    Attributes:
        name: As on the package index, lower case.
        version: Which is installed.
        licence: SPDX expression, or the words that the package uses; "unknown" without any.
        needs: Names of installed packages that it needs.
    """

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]


def project_version() -> str:
    """This program's version."""
    return str(_project()["version"])


def project_needs() -> tuple[str, ...]:
    """Names of the installed packages that this program names itself."""
    return _installed(_requirements())


@cache
def packages() -> tuple[Package, ...]:
    """Every installed package that this program needs, directly or not, by name."""
    found: dict[str, Package] = {}
    seen: set[str] = set()
    waiting = list(_requirements())
    while waiting:
        asked = waiting.pop()
        if str(asked) in seen:
            continue
        seen.add(str(asked))
        dist = _distribution(asked.name)
        if dist is None:
            continue
        needs = list(_needs(dist, asked.extras))
        waiting += needs
        name = canonicalize_name(asked.name)
        known = found[name].needs if name in found else ()
        together = tuple(sorted({*known, *_installed(needs)}))
        found[name] = Package(name, dist.version, licence_of(dist), together)
    return tuple(found[name] for name in sorted(found))


def licence_of(dist: Distribution) -> str:
    """The licence that a package names: its expression, else its classifiers, else its words."""
    facts = dist.metadata
    if "License-Expression" in facts:
        return str(facts["License-Expression"])
    words = str(facts["License"]).strip() if "License" in facts else ""
    names = [line for line in words.splitlines()[:1] if len(line) <= _LONGEST_NAME]
    classifiers = [
        str(one).rpartition(" :: ")[2]
        for one in facts.get_all("Classifier") or []
        if str(one).startswith("License ::") and not str(one).endswith("OSI Approved")
    ]
    # A classifier names a licence; the free field may hold anything, so it comes second.
    given = [_SPDX.get(one.lower(), one) for one in (classifiers or names)]
    return " OR ".join(dict.fromkeys(given)) or _KNOWN.get(
        canonicalize_name(dist.metadata["Name"]), UNKNOWN
    )


def forbidden(found: Iterable[Package]) -> list[Package]:
    """Those whose licence forbids what this program is for."""
    return [one for one in found if FORBIDDING.search(one.licence)]


def _project() -> dict[str, object]:
    try:
        content = tomllib.loads(PROJECT_FILE.read_text(encoding="utf-8"))
        return dict(content["project"])
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise UnreadableProject(
            f"{PROJECT_FILE.name} does not say what this program needs "
            f"({type(error).__name__}); put the program's folder back as it was published"
        ) from None


def _requirements() -> list[Requirement]:
    given = _project().get("dependencies")
    return [Requirement(str(one)) for one in given] if isinstance(given, list) else []


def _needs(dist: Distribution, extras: set[str]) -> Iterable[Requirement]:
    """What a package needs on this machine, with these of its extras."""
    for line in dist.requires or []:
        need = Requirement(line)
        if need.marker is None or any(
            need.marker.evaluate({"extra": extra}) for extra in (extras or {""})
        ):
            yield need


def _installed(needs: Iterable[Requirement]) -> tuple[str, ...]:
    names = {canonicalize_name(one.name) for one in needs if _distribution(one.name)}
    return tuple(sorted(names))


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
