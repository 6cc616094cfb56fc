"""The viewer's own routes: pixels and previews out, edits in, each with a real status code.

Gradio's server functions answer null to every failure and cannot say who asks; these say 200, 401,
403, 404, 409, 413, 422 or 503. The page treats only ``{"ok": true}`` as an acknowledgement.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from annotations.cases import parse_case
from annotations.errors import (
    AnnotationError,
    CaseHidden,
    DamagedWorkspace,
    ReadingLocked,
    StaleEdit,
    StoreError,
    UnknownRecord,
)
from annotations.records import Reading, Role
from audit_app import study
from audit_app.errors import sentence_for_page
from audit_app.services import Services
from audit_app.session import SIGN_IN, AccessRefused, Visitor, require, visitor_of_route
from audit_app.viewer.adjudication_routes import (
    ADJUDICATORS,
    commit_adjudication,
    decide,
    reopen_adjudication,
    send_adjudication,
)
from audit_app.viewer.forms import InvalidRequest, parse_commit, parse_edit
from audit_app.viewer.pixels import CachedPicture, cached_picture
from audit_app.viewer.prompt_route import send_prompt_map
from audit_app.viewer.state import reading_value, texts_value

MAX_BODY_BYTES: Final = 1024 * 1024  # a region with an outline of many points
READERS: Final[tuple[Role, ...]] = ("reader",)
NO_STORE: Final = {"Cache-Control": "no-store"}
SCRIPTS: Final = Path(__file__).parent
MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}

Answer = Callable[[Services, Visitor, str, Any], Response]


class BodyTooLarge(Exception):
    """More bytes than any edit needs."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a route does for whom."""

    answer: Answer
    roles: tuple[Role, ...] = ()
    has_body: bool = False


def build_routes(services: Services) -> list[BaseRoute]:
    """The routes below ``/audit/`` for one workspace."""
    reading = "/audit/readings/{image_id}"
    judged = "/audit/adjudications/{image_id}"
    actions = {
        ("GET", "/audit/images/{image_id}/pixels"): Action(send_pixels),
        ("GET", "/audit/images/{image_id}/preview"): Action(send_preview),
        ("GET", reading): Action(send_reading),
        ("POST", f"{reading}/edits"): Action(save_edit, READERS, has_body=True),
        ("POST", f"{reading}/commit"): Action(commit, READERS, has_body=True),
        ("POST", f"{reading}/reopen"): Action(reopen, READERS, has_body=True),
        ("POST", f"{reading}/reveal"): Action(reveal, READERS, has_body=True),
        ("POST", "/audit/images/{image_id}/words"): Action(send_prompt_map, has_body=True),
        ("GET", judged): Action(send_adjudication, ADJUDICATORS),
        ("POST", f"{judged}/decide"): Action(decide, ADJUDICATORS, has_body=True),
        ("POST", f"{judged}/commit"): Action(commit_adjudication, ADJUDICATORS, has_body=True),
        ("POST", f"{judged}/reopen"): Action(reopen_adjudication, ADJUDICATORS, has_body=True),
    }
    routes: list[BaseRoute] = [
        Route(path, _endpoint(services, action), methods=[method])
        for (method, path), action in actions.items()
    ]
    return [*routes, Route("/audit/viewer/{name}", send_script, methods=["GET"])]


# --- answers; each runs in a thread ------------------------------------------------------------


def send_pixels(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """The raw pixels, gzip; decompressed by the page, so that no proxy touches them."""
    picture = _viewed_picture(services, visitor, image_id)
    return Response(picture.pixels.read_bytes(), media_type="application/gzip", headers=NO_STORE)


def send_preview(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """A small JPEG that is shown until the pixels are there."""
    picture = _viewed_picture(services, visitor, image_id)
    return Response(picture.preview.read_bytes(), media_type="image/jpeg", headers=NO_STORE)


def _viewed_picture(services: Services, visitor: Visitor, image_id: str) -> CachedPicture:
    """A picture, once it stands in the log that this visitor is sent it."""
    image_id = parse_case(image_id).image_id
    picture = cached_picture(services.workspace, services.store.images.get(image_id))
    services.store.trail.note_view(visitor.name, image_id, "picture")
    return picture


def send_reading(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """The visitor's own reading as it stands."""
    return _acknowledge(services.store.readings.open_case(image_id, visitor.name))


def save_edit(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """Apply one edit, at most once."""
    image = services.store.images.get(parse_case(image_id).image_id)
    present = services.store.readings.get(image_id, visitor.name)
    notes = {region.region_id: region.note for region in present.regions}
    edit = replace(parse_edit(body, image, notes), image_id=image_id)
    study.check_edit(services, edit, present)
    return _acknowledge(services.store.readings.apply(edit, visitor.name))


def commit(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """Commit the reading as the page shows it; the report may be read from now on."""
    version, active_ms = parse_commit(body)
    study.check_commit(services, services.store.readings.get(image_id, visitor.name))
    reading = services.store.readings.commit(
        image_id,
        visitor.name,
        base_version=version,
        maps_open=study.maps_open(services),
        active_ms=active_ms,
    )
    image = services.store.images.get(parse_case(image_id).image_id)
    return _acknowledge(reading, texts=texts_value(image))


def reopen(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """Open a committed reading for a correction."""
    return _acknowledge(services.store.readings.reopen(image_id, visitor.name))


def reveal(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """Record that the reader now sees a heatmap."""
    study.check_maps(services, visitor, image_id)
    is_open = study.maps_open(services)
    return _acknowledge(services.store.readings.reveal(image_id, visitor.name, maps_open=is_open))


def send_script(request: Request) -> Response:
    """One of the viewer's scripts or its style sheet; they know nothing of any workspace."""
    name = request.path_params["name"]
    path = SCRIPTS / name
    if path.suffix not in MEDIA_TYPES or path.parent != SCRIPTS or not path.is_file():
        return PlainTextResponse("not found", 404)
    return FileResponse(
        path, media_type=MEDIA_TYPES[path.suffix], headers={"Cache-Control": "no-cache"}
    )


# --- from a request to an answer ---------------------------------------------------------------


def _endpoint(services: Services, action: Action) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _json_body(request) if action.has_body else None
        except BodyTooLarge:
            return _refuse(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        except InvalidRequest as error:
            return _refuse(422, str(error))
        return await run_in_threadpool(_answer, services, action, request, body)

    return endpoint


async def _json_body(request: Request) -> Any:
    # A form of another site cannot send this type without asking first.
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise InvalidRequest("the content type must be application/json")
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise BodyTooLarge
        return json.loads(content)
    except (ValueError, RecursionError, ClientDisconnect):
        raise InvalidRequest("the body is not valid JSON") from None


def _answer(services: Services, action: Action, request: Request, body: Any) -> Response:
    visitor = visitor_of_route(services, request)
    if visitor is None:
        return _refuse(401, SIGN_IN)
    image_id = request.path_params["image_id"]
    try:
        require(visitor, *action.roles)
        return action.answer(services, visitor, image_id, body)
    except AccessRefused as error:
        return _refuse(403, str(error))
    except StaleEdit as error:
        return _refuse(409, str(error), reason="stale", reading=reading_value(error.current))
    except ReadingLocked as error:
        current = services.store.readings.get(image_id, visitor.name)
        return _refuse(409, str(error), reason="locked", reading=reading_value(current))
    except CaseHidden as error:
        return _refuse(409, str(error), reason="hidden")
    except UnknownRecord as error:
        return _refuse(404, str(error))
    except AnnotationError as error:
        # When the store cannot take it, what was sent is not wrong: the page keeps it and retries.
        status = 503 if isinstance(error, StoreError | DamagedWorkspace) else 422
        return _refuse(status, sentence_for_page(error, services.workspace.root))


def _acknowledge(reading: Reading, **more: Any) -> JSONResponse:
    value = {"ok": True, "reading": reading_value(reading), **more}
    return JSONResponse(value, headers=NO_STORE)


def _refuse(status: int, message: str, **more: Any) -> JSONResponse:
    return JSONResponse({"ok": False, "message": message, **more}, status, headers=NO_STORE)
