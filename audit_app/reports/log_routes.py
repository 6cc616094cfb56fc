"""The log as a CSV file, for admins."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from annotations.store.trail import LogFilter
from audit_app.reports.log_table import csv_lines
from audit_app.services import Services
from audit_app.session import SIGN_IN, AccessRefused, require, visitor_of_route

PATH: Final = "/audit/log/{ticket}.csv"
KEPT: Final = 200


class LogTickets:
    """Filters by an opaque id: what was searched for must not stand in an address."""

    def __init__(self) -> None:
        self._filters: OrderedDict[str, tuple[str, LogFilter]] = OrderedDict()
        self._lock = threading.Lock()

    def link(self, owner: str, asked: LogFilter) -> str:
        """The address of the rows that fit a filter, for its owner only."""
        ticket = secrets.token_urlsafe(12)
        with self._lock:
            self._filters[ticket] = (owner, asked)
            while len(self._filters) > KEPT:
                self._filters.popitem(last=False)
        return PATH.format(ticket=ticket)

    def filter_of(self, ticket: str, owner: str) -> LogFilter | None:
        """The filter behind a ticket of this owner."""
        with self._lock:
            kept = self._filters.get(ticket)
        return kept[1] if kept is not None and kept[0] == owner else None


def build_log_routes(services: Services, tickets: LogTickets) -> list[BaseRoute]:
    """The download of what the Log tab shows."""
    return [Route(PATH, _download(services, tickets), methods=["GET"])]


def _download(services: Services, tickets: LogTickets) -> Callable[[Request], Response]:
    def download(request: Request) -> Response:
        visitor = visitor_of_route(services, request)
        if visitor is None:
            return PlainTextResponse(SIGN_IN, status_code=401)
        try:
            require(visitor, "admin")
        except AccessRefused as error:
            return PlainTextResponse(str(error), status_code=403)
        asked = tickets.filter_of(request.path_params["ticket"], visitor.name)
        if asked is None:
            return PlainTextResponse("this link is too old; filter the log again", status_code=404)
        services.store.log.add("export", visitor.name, "log", {"format": "csv"})
        return StreamingResponse(
            csv_lines(services.store.trail.each(asked)),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="log.csv"'},
        )

    return download
