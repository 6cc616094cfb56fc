"""The files of a survey that was started from the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.routing import BaseRoute

from audit_app.reports.downloads import Download, NoDownload, build_download
from audit_app.reports.survey import FILES
from audit_app.services import Services
from audit_app.survey import survey_folder

PATH: Final = "/audit/surveys/{job_id:int}/{name}"


def build_survey_routes(services: Services) -> list[BaseRoute]:
    """Downloads of surveys."""

    def find(asked: Mapping[str, Any]) -> Download:
        job_id, name = int(asked["job_id"]), asked["name"]
        if name not in FILES:
            raise NoDownload(f"a survey has the files {', '.join(FILES)}")
        return Download(
            survey_folder(services.workspace, job_id) / name,
            f"survey {job_id}",
            f"survey-{job_id}-{name}",
            f"survey {job_id} has no such file yet",
        )

    return [build_download(services, PATH, find)]
