from __future__ import annotations

import os
from pathlib import Path

from annotations.store import Store
from audit_app.orphans import find_orphans, remove_orphans
from audit_app.viewer.pixels import cached_picture
from tests.browser.films import make_workspace


def test_leftovers_are_found_with_their_reason_and_only_they_are_removed(tmp_path: Path) -> None:
    workspace, records = make_workspace(tmp_path, ["film-00.png"])
    shown = cached_picture(workspace, records["film-00.png"]).folder
    gone = workspace.cache / "viewer" / ("0" * 40)
    orphans = {
        workspace.images / ("a" * 64 + ".png"): "no image refers to it",
        workspace.cache / "audits" / "run-7": "there is no such audit",
        workspace.cache / "export-x1": "left by something that was stopped",
        workspace.backups / "x.sqlite.partial": "left by something that was stopped",
        gone: "the picture is no longer in the workspace",
    }
    for path in orphans:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12345")
        os.utime(path, (1, 1))
    young = workspace.backups / "y.sqlite.partial"
    young.write_bytes(b"at work")
    with Store.open(workspace) as store:
        found = find_orphans(workspace, store)
        assert {one.path: one.reason for one in found} == orphans
        assert remove_orphans(found) == 5 * len(orphans)
        assert find_orphans(workspace, store) == []
        assert store.check() == []
    assert young.exists()
    assert shown.is_dir()
