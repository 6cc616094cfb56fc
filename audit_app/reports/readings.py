"""Downloads of the committed readings in every format, for those who may see all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from annotations.errors import AnnotationError
from annotations.exports import EXPORTERS
from audit_app.errors import describe_disk_error, sentence_for_page
from audit_app.services import Services
from audit_app.session import SIGN_IN, AccessRefused, Visitor, require, visitor_of_route

PATH: Final = "/audit/exports/{kind}"
MEDIA_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".zip": "application/zip",
}


def build_export_routes(services: Services) -> list[BaseRoute]:
    """One download per format."""
    return [Route(PATH, _download(services), methods=["GET"])]


def _download(services: Services) -> Callable[[Request], Response]:
    def download(request: Request) -> Response:
        visitor = visitor_of_route(services, request)
        if visitor is None:
            return PlainTextResponse(SIGN_IN, status_code=401)
        kind = request.path_params["kind"]
        try:
            require(visitor, "auditor")
        except AccessRefused as error:
            return PlainTextResponse(str(error), status_code=403)
        if kind not in EXPORTERS:
            known = ", ".join(EXPORTERS)
            return PlainTextResponse(f"readings are exported as {known}", status_code=404)
        try:
            return _answer(services, visitor, kind)
        except AnnotationError as error:
            sentence = sentence_for_page(error, services.workspace.root)
            return PlainTextResponse(sentence, status_code=409)
        except OSError as error:
            return PlainTextResponse(describe_disk_error(error), status_code=507)

    return download


def _answer(services: Services, visitor: Visitor, kind: str) -> Response:
    """The file, which is removed after it was sent, or when it cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="export-", dir=services.workspace.cache))
    try:
        path = _write(services, kind, folder)
        services.store.log.add("export", visitor.name, kind, {"format": kind, "bytes": _size(path)})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[path.suffix],
        filename=path.name,
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _write(services: Services, kind: str, folder: Path) -> Path:
    """The file to send: a format of many files becomes one archive."""
    stem = f"readings-{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    out = folder / f"{stem}{EXPORTERS[kind].suffix}"
    EXPORTERS[kind].write(services.store, out)
    if not EXPORTERS[kind].is_folder:
        return out
    return Path(shutil.make_archive(str(folder / stem), "zip", root_dir=folder, base_dir=stem))


def _size(path: Path) -> int:
    return path.stat().st_size
