"""The one place where a Gradio event meets the product: visitor checked, errors made sentences."""

from __future__ import annotations

import functools
import html
import inspect
import logging
import secrets
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from annotations.records import Role
from audit_app.errors import DOMAIN_ERRORS, sentence_for_page
from audit_app.guard import where_it_failed
from audit_app.services import Services
from audit_app.session import AccessRefused, Visitor, require, visitor_of_event
from audit_app.witness import LogWitness

log = logging.getLogger(__name__)

OWN_PARAMETER = "gradio_request"

Event = Callable[..., Any]


def handler(services: Services, *roles: Role) -> Callable[[Event], Event]:
    """Make a function a Gradio event handler that only a fitting visitor can run.

    The function may take what Gradio gives by annotation or default (``gr.Request``,
    ``gr.EventData``, ``gr.Progress``), and the visitor by a parameter annotated ``Visitor``.
    It may be a plain, a generator, a coroutine or an asynchronous generator function.

    Args:
        services: The opened workspace.
        roles: Who may run it (an admin always may); without any, whoever is signed in.
    """

    def decorate(function: Event) -> Event:
        call = _Call(services, roles, function, *_exposed(function))
        wrapper = functools.wraps(function)(_wrapper(call))
        del wrapper.__dict__["__wrapped__"]  # its signature is not the one Gradio must see
        wrapper.__signature__ = call.signature  # type: ignore[attr-defined]
        wrapper.allowed_roles = roles  # type: ignore[attr-defined]
        wrapper.__annotations__ = {
            name: parameter.annotation
            for name, parameter in call.signature.parameters.items()
            if parameter.annotation is not parameter.empty
        }
        return wrapper

    return decorate


@contextmanager
def sentences_only(function_name: str, root: Path) -> Iterator[None]:
    """Turn every error into a message for the page; nothing else of it leaves the program.

    The message is escaped, because Gradio shows it as HTML.

    Args:
        function_name: What the log calls the event.
        root: The workspace's folder, which no message names.
    """
    try:
        yield
    except gr.Error:
        raise
    except DOMAIN_ERRORS as error:
        sentence = html.escape(sentence_for_page(error, root))
        raise gr.Error(sentence, print_exception=False) from None
    except Exception as error:  # noqa: BLE001 - the page's last line: logged by type and place
        number = secrets.token_hex(4)
        log.error("[%s] %s: %s", number, function_name, where_it_failed(error))
        raise gr.Error(
            f"Something went wrong in the program, not in what you entered. "
            f"The log has the place under number {number}.",
            print_exception=False,
        ) from None


@dataclass(frozen=True, slots=True)
class _Call:
    """One decorated function and how to call it."""

    services: Services
    roles: tuple[Role, ...]
    function: Event
    signature: inspect.Signature  # as Gradio sees it: the request first, no visitor
    visitor_name: str | None
    visitor_index: int | None  # among the positional parameters

    def run(self, request: gr.Request | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Check who asks, then call."""
        visitor = visitor_of_event(self.services, request)
        try:
            require(visitor, *self.roles)
        except AccessRefused:
            name = getattr(self.function, "__name__", "event")
            LogWitness(self.services).refused(visitor.name, 403, f"event {name}")
            raise
        if self.visitor_index is not None:
            args = (*args[: self.visitor_index], visitor, *args[self.visitor_index :])
        elif self.visitor_name is not None:
            kwargs = {**kwargs, self.visitor_name: visitor}
        return self.function(*args, **kwargs)

    def guarded(self) -> typing.ContextManager[None]:
        """The error translation around one step."""
        name = getattr(self.function, "__qualname__", repr(self.function))
        return sentences_only(name, self.services.workspace.root)


def _exposed(function: Event) -> tuple[inspect.Signature, str | None, int | None]:
    """The signature for Gradio, and where the function wants the visitor.

    Raises:
        TypeError: If an annotation cannot be resolved: Gradio would then silently leave out
            the request or the event's data.
    """
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise TypeError(
            f"an annotation of {function!r} cannot be resolved ({error}); import it outside of "
            "TYPE_CHECKING, since Gradio reads it"
        ) from None
    own = inspect.Parameter(OWN_PARAMETER, inspect.Parameter.POSITIONAL_ONLY, annotation=gr.Request)
    shown = [own]
    name = index = None
    for i, parameter in enumerate(inspect.signature(function).parameters.values()):
        if hints.get(parameter.name) is not Visitor:
            shown.append(
                parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
            )
        elif parameter.kind is parameter.KEYWORD_ONLY:
            name = parameter.name
        else:
            name, index = parameter.name, i
    return inspect.Signature(shown), name, index


def _wrapper(call: _Call) -> Event:
    """A function of the same kind as the decorated one, since Gradio looks at the kind."""
    if inspect.isasyncgenfunction(call.function):
        return _async_generator(call)
    if inspect.isgeneratorfunction(call.function):
        return _generator(call)
    if inspect.iscoroutinefunction(call.function):
        return _coroutine(call)
    return _plain(call)


def _plain(call: _Call) -> Event:
    def run(request: gr.Request | None, /, *args: Any, **kwargs: Any) -> Any:
        with call.guarded():
            return call.run(request, args, kwargs)

    return run


def _generator(call: _Call) -> Event:
    def run(request: gr.Request | None, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with call.guarded():
            yield from call.run(request, args, kwargs)

    return run


def _coroutine(call: _Call) -> Event:
    async def run(request: gr.Request | None, /, *args: Any, **kwargs: Any) -> Any:
        with call.guarded():
            return await call.run(request, args, kwargs)

    return run


def _async_generator(call: _Call) -> Event:
    async def run(
        request: gr.Request | None, /, *args: Any, **kwargs: Any
    ) -> typing.AsyncIterator[Any]:
        with call.guarded():
            async for item in call.run(request, args, kwargs):
                yield item

    return run
