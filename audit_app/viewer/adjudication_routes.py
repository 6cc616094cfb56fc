"""What the adjudication panel asks for: each decision is saved and acknowledged at once."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from annotations.records import Adjudication, Role
from annotations.store.adjudications import result_id
from audit_app.adjudication import adjudication_value
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.forms import InvalidRequest, parse_commit, parse_verdict

ADJUDICATORS: Final[tuple[Role, ...]] = ("auditor",)
NO_STORE: Final = {"Cache-Control": "no-store"}


def send_adjudication(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """The visitor's adjudication as it stands."""
    return _acknowledge(_begun(services, visitor, image_id))


def decide(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """Keep one decision, at most once."""
    notes = _notes_of(_begun(services, visitor, image_id))
    version, verdict = parse_verdict(body, services.store.images.get(image_id), notes)
    return _acknowledge(
        services.store.adjudications.decide(image_id, visitor.name, verdict, base_version=version)
    )


def commit_adjudication(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """Commit the adjudication as the page shows it."""
    version, active_ms = parse_commit(body)
    return _acknowledge(
        services.store.adjudications.commit(
            image_id, visitor.name, base_version=version, active_ms=active_ms
        )
    )


def reopen_adjudication(
    services: Services, visitor: Visitor, image_id: str, _body: Any
) -> Response:
    """Open a committed adjudication for a correction."""
    return _acknowledge(services.store.adjudications.reopen(image_id, visitor.name))


def _begun(services: Services, visitor: Visitor, image_id: str) -> Adjudication:
    found = services.store.adjudications.get(image_id, visitor.name)
    if found is None:
        raise InvalidRequest("this image is not being adjudicated by you; choose it in the list")
    return found


def _notes_of(adjudication: Adjudication) -> dict[str, str]:
    """The notes of the parents' regions, by their ids and by those of what comes of them."""
    notes: dict[str, str] = {}
    for parent in adjudication.parents:
        for region in parent.regions:
            ids = (region.region_id, result_id(parent.reading_id, region.region_id))
            notes |= dict.fromkeys(ids, region.note)
    return notes


def _acknowledge(adjudication: Adjudication) -> JSONResponse:
    value = {"ok": True, "adjudication": adjudication_value(adjudication)}
    return JSONResponse(value, headers=NO_STORE)
