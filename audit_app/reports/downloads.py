"""Files of audits, surveys and evaluations, sent to those who may see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from annotations.errors import StoreError, UnknownRecord
from audit_app.errors import AuditError, sentence_for_page
from audit_app.services import Services
from audit_app.session import AccessRefused, require, visitor_of_route

MEDIA_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".npz": "application/octet-stream",
}


@dataclass(frozen=True, slots=True)
class Download:
    """One file that may be asked for.

    Attributes:
        path: Where it lies.
        subject: What it belongs to, for the log.
        shown: Its name for who downloads it.
        absent: What is said when it is not there.
    """

    path: Path
    subject: str
    shown: str
    absent: str


class NoDownload(AuditError):
    """No file of this name is sent."""


def build_download(
    services: Services, path: str, find: Callable[[Mapping[str, Any]], Download]
) -> BaseRoute:
    """A route that sends a file to auditors and admins, and logs it.

    Args:
        services: Of the app.
        path: Of the route; ``name`` is the file's.
        find: The file of these path parameters; ``NoDownload`` or ``UnknownRecord`` become 404.
    """

    def download(request: Request) -> Response:
        visitor = visitor_of_route(services, request)
        if visitor is None:
            return PlainTextResponse("sign in first", status_code=401)
        try:
            require(visitor, "auditor")
            found = find(request.path_params)
        except AccessRefused as error:
            return PlainTextResponse(str(error), status_code=403)
        except (NoDownload, UnknownRecord) as error:
            return PlainTextResponse(str(error), status_code=404)
        if not found.path.is_file():
            return PlainTextResponse(found.absent, status_code=404)
        name = request.path_params["name"]
        try:
            services.store.log.add("download", visitor.name, found.subject, {"file": name})
        except StoreError as error:
            sentence = sentence_for_page(error, services.workspace.root)
            return PlainTextResponse(sentence, status_code=507)
        kind = MEDIA_TYPES[found.path.suffix]
        return FileResponse(found.path, media_type=kind, filename=found.shown)

    return Route(path, download, methods=["GET"])
