"""The files of a survey, for those who may see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from audit_app.reports.survey import FILES
from audit_app.services import Services
from audit_app.session import AccessRefused, require, visitor_of_route
from audit_app.survey import survey_folder

PATH: Final = "/audit/surveys/{job_id:int}/{name}"


def build_survey_routes(services: Services) -> list[BaseRoute]:
    """Downloads of surveys."""
    return [Route(PATH, _download(services), methods=["GET"])]


def _download(services: Services) -> Callable[[Request], Response]:
    def download(request: Request) -> Response:
        visitor = visitor_of_route(services, request)
        if visitor is None:
            return PlainTextResponse("sign in first", status_code=401)
        try:
            require(visitor, "auditor")
        except AccessRefused as error:
            return PlainTextResponse(str(error), status_code=403)
        job_id, name = int(request.path_params["job_id"]), request.path_params["name"]
        if name not in FILES:
            return PlainTextResponse(f"a survey has the files {', '.join(FILES)}", status_code=404)
        path = survey_folder(services.workspace, job_id) / name
        if not path.is_file():
            return PlainTextResponse(f"survey {job_id} has no such file yet", status_code=404)
        services.store.log.add("download", visitor.name, f"survey {job_id}", {"file": name})
        return FileResponse(path, media_type=FILES[name], filename=f"survey-{job_id}-{name}")

    return download
