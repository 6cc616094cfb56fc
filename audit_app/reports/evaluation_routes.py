"""The files of an evaluation that was started from the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.routing import BaseRoute

from audit_app.evaluator.job import evaluation_folder
from audit_app.evaluator.result import FIGURE_OF_15, FILES, MAPS_OF_15
from audit_app.reports.downloads import Download, NoDownload, build_download
from audit_app.services import Services

# The maps of the 15 are given by the tab alone, picture by picture, to whoever may see them.
DOWNLOADS: Final = tuple(name for name in FILES if name not in (MAPS_OF_15, FIGURE_OF_15))
PATH: Final = "/audit/evaluations/{job_id:int}/{name}"


def build_evaluation_routes(services: Services) -> list[BaseRoute]:
    """Downloads of evaluations."""

    def find(asked: Mapping[str, Any]) -> Download:
        job_id, name = int(asked["job_id"]), asked["name"]
        if name not in DOWNLOADS:
            raise NoDownload(f"an evaluation has the files {', '.join(DOWNLOADS)}")
        return Download(
            evaluation_folder(services.workspace, job_id) / name,
            f"evaluation {job_id}",
            f"evaluation-{job_id}-{name}",
            f"evaluation {job_id} has no such file yet",
        )

    return [build_download(services, PATH, find)]
