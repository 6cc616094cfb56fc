"""The files of an evaluation that was started from the page, for those who may see them."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from audit_app.evaluator.job import evaluation_folder
from audit_app.evaluator.result import FIGURE_OF_15, FILES, MAPS_OF_15
from audit_app.services import Services
from audit_app.session import AccessRefused, require, visitor_of_route

# The maps of the 15 are given by the tab alone, picture by picture, to whoever may see them.
DOWNLOADS: Final = tuple(name for name in FILES if name not in (MAPS_OF_15, FIGURE_OF_15))
PATH: Final = "/audit/evaluations/{job_id:int}/{name}"


def build_evaluation_routes(services: Services) -> list[BaseRoute]:
    """Downloads of evaluations."""
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
        if name not in DOWNLOADS:
            known = ", ".join(DOWNLOADS)
            return PlainTextResponse(f"an evaluation has the files {known}", status_code=404)
        path = evaluation_folder(services.workspace, job_id) / name
        if not path.is_file():
            return PlainTextResponse(f"evaluation {job_id} has no such file yet", status_code=404)
        services.store.log.add("download", visitor.name, f"evaluation {job_id}", {"file": name})
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return FileResponse(path, media_type=kind, filename=f"evaluation-{job_id}-{name}")

    return download
