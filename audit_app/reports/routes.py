"""The files of an audit, for those who may see them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from annotations.errors import UnknownRecord
from annotations.records import AuditRun
from audit_app.audit_job import run_folder
from audit_app.services import Services
from audit_app.session import AccessRefused, require, visitor_of_route

PATH: Final = "/audit/runs/{run_id}/{name:path}"
MEDIA_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def build_report_routes(services: Services) -> list[BaseRoute]:
    """Downloads of finished audits."""
    return [Route(PATH, _download(services), methods=["GET"])]


def _download(services: Services) -> Callable[[Request], Response]:
    def download(request: Request) -> Response:
        visitor = visitor_of_route(services, request)
        if visitor is None:
            return PlainTextResponse("sign in first", status_code=401)
        try:
            require(visitor, "auditor")
            run = services.store.audits.get(request.path_params["run_id"])
        except AccessRefused as error:
            return PlainTextResponse(str(error), status_code=403)
        except UnknownRecord as error:
            return PlainTextResponse(str(error), status_code=404)
        name = request.path_params["name"]
        files = files_of(run)
        if name not in files:
            known = ", ".join(files) or "none yet"
            return PlainTextResponse(f"this audit has the files: {known}", status_code=404)
        path = run_folder(services.workspace, run.run_id) / name
        if not path.is_file():
            return PlainTextResponse(
                "the files of this audit lie where its command line wrote them", status_code=404
            )
        services.store.log.add("download", visitor.name, run.run_id, {"file": name})
        shown = f"{run.run_id[:8]}-{path.name}"
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], filename=shown)

    return download


def files_of(run: AuditRun) -> list[str]:
    """The names of a finished run's files that the page can send."""
    names = run.summary.get("files")
    if not isinstance(names, list):
        return []
    return [str(name) for name in names if PurePosixPath(str(name)).suffix in MEDIA_TYPES]
