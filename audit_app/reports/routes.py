"""The files of an audit, for those who may see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from annotations.errors import UnknownRecord
from audit_app.audit_job import run_folder
from audit_app.reports.agreement import AGREEMENT_FILE, PROVENANCE_FILE, SUMMARY_FILE
from audit_app.services import Services
from audit_app.session import AccessRefused, require, visitor_of_route

FILES: Final = {
    AGREEMENT_FILE: "text/csv; charset=utf-8",
    SUMMARY_FILE: "text/csv; charset=utf-8",
    PROVENANCE_FILE: "application/json",
}
PATH: Final = "/audit/runs/{run_id}/{name}"


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
        if name not in FILES:
            return PlainTextResponse(f"an audit has the files {', '.join(FILES)}", status_code=404)
        path = run_folder(services.workspace, run.run_id) / name
        if not path.is_file():
            return PlainTextResponse(
                "the files of this audit lie where its command line wrote them", status_code=404
            )
        services.store.log.add("download", visitor.name, run.run_id, {"file": name})
        return FileResponse(path, media_type=FILES[name], filename=f"{run.run_id[:8]}-{name}")

    return download
