"""The route behind the box for free words: a text in, its map and its score out."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from audit_app.comparison.prompts import Question, answer_words, clean_text
from audit_app.comparison.selection import Selection
from audit_app.errors import AuditError, sentence_for_page
from audit_app.services import Services
from audit_app.session import AccessRefused, Visitor
from model_store.errors import ModelError

NO_STORE: Final = {"Cache-Control": "no-store"}
FIELDS: Final = ("reader", "finding", "model", "method", "text")


def send_prompt_map(services: Services, visitor: Visitor, image_id: str, body: Any) -> Response:
    """The answer to free words, or that the page should ask again."""
    try:
        answer = answer_words(services, visitor, parse_question(image_id, body))
    except AccessRefused:
        raise
    except (AuditError, ModelError) as error:
        message = sentence_for_page(error, services.workspace.root)
        return JSONResponse({"ok": False, "message": message}, 422, headers=NO_STORE)
    return JSONResponse({"ok": True, **answer}, 202 if answer["is_waiting"] else 200, NO_STORE)


def parse_question(image_id: str, body: Any) -> Question:
    """The question that the page sent.

    Raises:
        AuditError: If a field is missing or no text.
    """
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in FIELDS):
        raise AuditError(f"a question needs the texts {', '.join(FIELDS)}; reload the page")
    text = clean_text(body["text"])
    chosen = (body[name] for name in ("reader", "finding", "model", "method"))
    return Question(Selection(image_id, *chosen), text)
