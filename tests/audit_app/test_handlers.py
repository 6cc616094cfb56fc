from __future__ import annotations

import asyncio
import inspect
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from gradio.helpers import special_args
from gradio.utils import check_function_inputs_match

from annotations.errors import InvalidRegion
from annotations.store import Store
from annotations.store.connection import translate
from annotations.workspace import create_workspace
from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from model_store.errors import MissingHead

if TYPE_CHECKING:
    from decimal import Decimal

ANNA = gr.Request(username="anna")
NOBODY = gr.Request()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = create_workspace(tmp_path / "w", name="test")
    with Store.open(workspace) as store:
        store.accounts.add("anna", "reader", "unused")
        store.accounts.add("root", "admin", "unused")
        yield Services(workspace, store, Settings())


def call(
    function: Callable[..., Any],
    *inputs: Any,
    request: gr.Request | None = ANNA,
    event: gr.EventData | None = None,
) -> Any:
    """Call as Gradio does: its own code puts the special arguments in."""
    arguments, *_ = special_args(function, list(inputs), request, event)
    return function(*arguments)


def test_a_handler_gets_its_inputs_in_order(services: Services) -> None:
    @handler(services)
    def join(a: str, b: str) -> str:
        return a + b

    assert call(join, "x", "y") == "xy"


def test_a_handler_gets_the_visitor_wherever_it_asks_for_it(services: Services) -> None:
    @handler(services)
    def first(visitor: Visitor, a: str) -> str:
        return f"{visitor.name} {a}"

    @handler(services)
    def last(a: str, b: str, visitor: Visitor) -> str:
        return f"{a}{b} {visitor.name}"

    @handler(services)
    def by_name(*fields: str, visitor: Visitor) -> str:
        return f"{''.join(fields)} {visitor.role}"

    assert call(first, "x") == "anna x"
    assert call(last, "x", "y") == "xy anna"
    assert call(by_name, "x", "y", "z") == "xyz reader"


def test_gradios_special_arguments_still_arrive(services: Services) -> None:
    @handler(services)
    def all_of_them(
        a: str,
        request: gr.Request,
        visitor: Visitor,
        event: gr.SelectData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio's way of asking for it
    ) -> tuple[Any, ...]:
        return a, request.username, visitor.name, event.index, progress

    event = gr.EventData(None, {"index": 4, "value": "v"})
    a, username, name, index, progress = call(all_of_them, "x", event=event)
    assert (a, username, name, index) == ("x", "anna", "anna", 4)
    assert isinstance(progress, gr.Progress)


def test_a_request_that_may_be_none_and_a_default_still_work(services: Services) -> None:
    @handler(services)
    def optional(a: str, request: gr.Request | None = None, b: str = "default") -> str:
        return f"{a} {request is not None} {b}"

    assert call(optional, "x") == "x True default"


def test_inputs_given_as_a_set_arrive_as_one_dictionary(services: Services) -> None:
    @handler(services)
    def save(values: dict[str, str], visitor: Visitor) -> str:
        return f"{values['a']} {visitor.name}"

    assert call(save, {"a": "x"}) == "x anna"


def test_gradio_counts_the_inputs_as_if_it_were_not_decorated(services: Services) -> None:
    @handler(services)
    def two(a: str, visitor: Visitor, request: gr.Request, b: str) -> str:
        return a + b + visitor.name + str(request.username)

    check_function_inputs_match(two, [1, 2], inputs_as_dict=False)
    with pytest.warns(UserWarning, match=r"Expected (at least )?2 arguments .*received 1"):
        check_function_inputs_match(two, [1], inputs_as_dict=False)
    with pytest.warns(UserWarning, match=r"Expected (maximum )?2 arguments .*received 3"):
        check_function_inputs_match(two, [1, 2, 3], inputs_as_dict=False)


def test_the_decorated_function_keeps_its_name(services: Services) -> None:
    @handler(services)
    def save() -> None:
        """Save it."""

    assert save.__name__ == "save"
    assert save.__doc__ == "Save it."


def test_nobody_is_refused_before_the_function_runs(services: Services) -> None:
    ran = []

    @handler(services)
    def save() -> None:
        ran.append(1)

    with pytest.raises(gr.Error, match="then sign in"):
        call(save, request=NOBODY)
    with pytest.raises(gr.Error, match="from the page"):
        call(save, request=None)
    assert ran == []


def test_a_role_that_does_not_fit_is_refused_and_an_admin_may(services: Services) -> None:
    @handler(services, "auditor")
    def audit() -> str:
        return "done"

    with pytest.raises(gr.Error, match="your role is reader; this needs auditor or admin"):
        call(audit)
    assert call(audit, request=gr.Request(username="root")) == "done"


@pytest.mark.parametrize("error_type", [AuditError, InvalidRegion, MissingHead])
def test_a_domain_error_becomes_its_sentence_without_a_traceback(
    services: Services, error_type: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    @handler(services)
    def fail() -> None:
        raise error_type("box 3 has no area; draw it again")

    with pytest.raises(gr.Error) as raised:
        call(fail)
    assert raised.value.message == "box 3 has no area; draw it again"
    assert not raised.value.print_exception
    assert raised.value.__cause__ is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("code", [5, 8, 10, 11, 13, 14, 26, 1])
def test_an_error_of_the_database_names_the_workspaces_folder_in_the_log_only(
    services: Services, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    @handler(services)
    def save() -> None:
        error = sqlite3.OperationalError("as SQLite says it")
        error.sqlite_errorcode = code
        raise translate(error, services.workspace.database)

    with pytest.raises(gr.Error) as raised:
        call(save)
    assert "W/audit.sqlite" in raised.value.message
    assert str(services.workspace.root.parent) not in raised.value.message
    assert str(services.workspace.database) in caplog.text


def test_a_sentence_that_quotes_html_cannot_become_html(services: Services) -> None:
    @handler(services)
    def fail() -> None:
        raise AuditError("unknown finding '<img src=x onerror=alert(1)>'")

    with pytest.raises(gr.Error) as raised:
        call(fail)
    assert "<" not in raised.value.message
    assert "&lt;img" in raised.value.message


def test_any_other_error_is_logged_by_type_and_place_and_shown_as_a_number(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    @handler(services)
    def fail() -> None:
        raise ZeroDivisionError("patient Smith")

    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as raised:
        call(fail)
    number = raised.value.message.split()[-1].rstrip(".")
    assert f"[{number}]" in caplog.text
    assert "ZeroDivisionError at " in caplog.text
    assert "test_handlers.py:" in caplog.text
    assert "Smith" not in caplog.text + raised.value.message
    assert not raised.value.print_exception


def test_an_error_made_for_the_page_passes_unchanged(services: Services) -> None:
    @handler(services)
    def fail() -> None:
        raise gr.Error("own words", print_exception=False)

    with pytest.raises(gr.Error, match="own words"):
        call(fail)


def test_a_generator_stays_one_and_is_checked_and_translated(services: Services) -> None:
    @handler(services, "reader")
    def count(a: int, visitor: Visitor) -> Iterator[str]:
        yield f"{a} {visitor.name}"
        raise AuditError("stopped")

    assert inspect.isgeneratorfunction(count)
    steps = call(count, 1)
    assert next(steps) == "1 anna"
    with pytest.raises(gr.Error, match="stopped"):
        next(steps)
    with pytest.raises(gr.Error, match="then sign in"):
        next(call(count, 1, request=NOBODY))


def test_a_coroutine_function_stays_one_and_is_checked_and_translated(services: Services) -> None:
    @handler(services)
    async def double(a: int) -> int:
        if a < 0:
            raise AuditError("negative")
        return 2 * a

    assert inspect.iscoroutinefunction(double)
    assert asyncio.run(call(double, 2)) == 4
    with pytest.raises(gr.Error, match="negative"):
        asyncio.run(call(double, -1))
    with pytest.raises(gr.Error, match="then sign in"):
        asyncio.run(call(double, 2, request=NOBODY))


def test_an_asynchronous_generator_stays_one_and_is_translated(services: Services) -> None:
    @handler(services)
    async def count(a: int) -> AsyncIterator[int]:
        yield a
        raise AuditError("stopped")

    async def first_and_next() -> int:
        steps = call(count, 3)
        first: int = await anext(steps)
        with pytest.raises(gr.Error, match="stopped"):
            await anext(steps)
        return first

    assert inspect.isasyncgenfunction(count)
    assert asyncio.run(first_and_next()) == 3


def test_an_annotation_that_gradio_could_not_read_is_refused_at_once(services: Services) -> None:
    def save(a: Decimal, request: gr.Request) -> None:
        """Its first annotation is only there while types are checked."""

    with pytest.raises(TypeError, match=r"Decimal.*outside of\s+TYPE_CHECKING"):
        handler(services)(save)
