"""The files of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from starlette.routing import BaseRoute

from annotations.records import AuditRun
from audit_app.audit_job import run_folder
from audit_app.reports.downloads import MEDIA_TYPES, Download, NoDownload, build_download
from audit_app.services import Services

PATH: Final = "/audit/runs/{run_id}/{name:path}"


def build_report_routes(services: Services) -> list[BaseRoute]:
    """Downloads of finished audits."""

    def find(asked: Mapping[str, Any]) -> Download:
        run, name = services.store.audits.get(asked["run_id"]), asked["name"]
        files = files_of(run)
        if name not in files:
            raise NoDownload(f"this audit has the files: {', '.join(files) or 'none yet'}")
        path = run_folder(services.workspace, run.run_id) / name
        return Download(
            path,
            run.run_id,
            f"{run.run_id[:8]}-{path.name}",
            "the files of this audit lie where its command line wrote them",
        )

    return [build_download(services, PATH, find)]


def files_of(run: AuditRun) -> list[str]:
    """The names of a finished run's files that the page can send."""
    names = run.summary.get("files")
    if not isinstance(names, list):
        return []
    return [str(name) for name in names if PurePosixPath(str(name)).suffix in MEDIA_TYPES]
