"""A page that is there sooner: Gradio without the interface files that it writes for editors.

Importing gradio parses the source of each of its eighty components twice and writes ``.pyi`` files
beside them, about two seconds of every start. Nothing at run time reads them; beside our own
components type checkers would read them in the place of the source.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

MODULE: Final = "gradio.component_meta"
FUNCTION: Final = "create_or_modify_pyi"


class _LeavesInterfaceFilesOut(Loader):
    """Loads the module as ever, then takes its one slow step away."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _silence(module)


class _Finder(MetaPathFinder):
    """Finds that one module; leaves all others to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LeavesInterfaceFilesOut(spec.loader)
        return spec


def write_nothing(*_: object) -> None:
    """In place of Gradio's own function, which serves editors only."""


def leave_interface_files_out() -> None:
    """From now on, for components that are defined later; best before gradio is imported."""
    if MODULE in sys.modules:
        _silence(sys.modules[MODULE])
    elif not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _silence(module: ModuleType) -> None:
    if hasattr(module, FUNCTION):
        setattr(module, FUNCTION, write_nothing)
