"""An answer that the guard gives itself."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import JSONResponse, Response


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: HTTP status.
        sentence: The reason, for the person at the page.
        retry_after_s: Seconds after which it may be tried again; ``None`` where that is no help.
    """

    status: int
    sentence: str
    retry_after_s: float | None = None

    def response(self) -> Response:
        """The refusal as JSON, in the form in which the page expects errors."""
        response = JSONResponse({"detail": self.sentence}, self.status)
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(int(self.retry_after_s) + 1)
        return response
