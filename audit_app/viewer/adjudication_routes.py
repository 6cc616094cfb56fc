"""What the adjudication panel asks for: each decision is saved and acknowledged at once."""

from __future__ import annotations

from typing import Any, Final, cast, get_args

from starlette.responses import JSONResponse, Response

from annotations.records import Adjudication, DecisionKind, Role
from annotations.store.adjudications import Verdict
from audit_app.adjudication import adjudication_value
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.viewer.forms import InvalidRequest, parse_base_version, parse_region

ADJUDICATORS: Final[tuple[Role, ...]] = ("auditor",)
FIELDS: Final = frozenset({"base_version", "parent_id", "region_id", "decision", "region"})
NO_STORE: Final = {"Cache-Control": "no-store"}


def send_adjudication(services: Services, visitor: Visitor, image_id: str, _body: Any) -> Response:
    """The visitor's adjudication as it stands."""
    found = services.store.adjudications.get(image_id, visitor.name)
    if found is None:
        raise InvalidRequest("this image is not being adjudicated by you; choose it in the list")
    return _acknowledge(found)


def decide(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """Keep one decision."""
    version, verdict = parse_verdict(services, image_id, body)
    return _acknowledge(
        services.store.adjudications.decide(image_id, visitor.name, verdict, base_version=version)
    )


def commit_adjudication(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """Commit the adjudication as the page shows it."""
    version = parse_base_version(body)
    return _acknowledge(
        services.store.adjudications.commit(image_id, visitor.name, base_version=version)
    )


def reopen_adjudication(
    services: Services, visitor: Visitor, image_id: str, _body: Any
) -> Response:
    """Open a committed adjudication for a correction."""
    return _acknowledge(services.store.adjudications.reopen(image_id, visitor.name))


def parse_verdict(services: Services, image_id: str, body: Any) -> tuple[int, Verdict]:
    """Version and decision that a body holds.

    Raises:
        InvalidRequest: If a field is missing, unknown or of another type.
    """
    if not isinstance(body, dict) or not set(body) <= FIELDS:
        raise InvalidRequest(f"a decision must be a JSON object with {', '.join(sorted(FIELDS))}")
    ids = {name: body.get(name) for name in ("parent_id", "region_id")}
    for name, value in ids.items():
        if not isinstance(value, str) or not value:
            raise InvalidRequest(f"the field {name!r} is {value!r}; expected a text")
    decision = body.get("decision")
    if decision is not None and decision not in get_args(DecisionKind):
        raise InvalidRequest(
            f"the decision {decision!r} is not known; expected {', '.join(get_args(DecisionKind))} "
            "or null"
        )
    image = services.store.images.get(image_id)
    region = parse_region(body.get("region"), image) if decision == "edit" else None
    version = parse_base_version({"base_version": body.get("base_version")})
    verdict = Verdict(
        str(ids["parent_id"]), str(ids["region_id"]), cast("DecisionKind | None", decision), region
    )
    return version, verdict


def _acknowledge(adjudication: Adjudication) -> JSONResponse:
    value = {"ok": True, "adjudication": adjudication_value(adjudication)}
    return JSONResponse(value, headers=NO_STORE)
