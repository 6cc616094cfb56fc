from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio.routes import App
from starlette.requests import Request

from annotations.records import Role
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.services import Services
from audit_app.session import (
    AccessRefused,
    Visitor,
    end_session,
    open_tokens,
    require,
    signed_in,
    visitor_of_event,
    visitor_of_route,
)
from audit_app.settings import Settings


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = create_workspace(tmp_path / "w", name="test")
    with Store.open(workspace) as store:
        yield Services(workspace, store, Settings())


def add(services: Services, name: str, role: Role) -> None:
    services.store.accounts.add(name, role, "unused")


def test_without_accounts_everybody_is_the_local_reader_and_may_do_all(services: Services) -> None:
    visitor = visitor_of_event(services, gr.Request())
    assert visitor == Visitor("local reader", "admin")
    assert require(visitor, "reader") is visitor


def test_a_signed_in_user_is_the_visitor_with_the_role_of_the_account(services: Services) -> None:
    add(services, "anna", "auditor")
    assert visitor_of_event(services, gr.Request(username="anna")) == Visitor("anna", "auditor")


def test_a_changed_role_counts_at_once(services: Services) -> None:
    add(services, "anna", "reader")
    services.store.accounts.set_role("anna", "admin")
    assert visitor_of_event(services, gr.Request(username="anna")).role == "admin"


def test_with_accounts_nobody_is_refused(services: Services) -> None:
    add(services, "anna", "reader")
    with pytest.raises(AccessRefused, match="stop the page and start it again, then sign in"):
        visitor_of_event(services, gr.Request())


def test_a_name_without_an_account_is_refused(services: Services) -> None:
    add(services, "anna", "reader")
    with pytest.raises(AccessRefused, match="sign in"):
        visitor_of_event(services, gr.Request(username="berta"))


def test_a_disabled_account_is_refused_at_once_and_does_not_open_the_workspace(
    services: Services,
) -> None:
    add(services, "anna", "reader")
    services.store.accounts.disable("anna")
    for request in (gr.Request(username="anna"), gr.Request()):
        with pytest.raises(AccessRefused, match="sign in"):
            visitor_of_event(services, request)


def test_a_call_that_no_page_made_is_refused(services: Services) -> None:
    with pytest.raises(AccessRefused, match="from the page"):
        visitor_of_event(services, None)


@pytest.mark.parametrize(
    ("role", "roles"),
    [
        ("reader", ()),
        ("reader", ("reader",)),
        ("auditor", ("reader", "auditor")),
        ("admin", ("reader",)),
    ],
)
def test_a_fitting_role_is_let_through(role: Role, roles: tuple[Role, ...]) -> None:
    visitor = Visitor("anna", role)
    assert require(visitor, *roles) is visitor


@pytest.mark.parametrize(("role", "roles"), [("reader", ("auditor",)), ("auditor", ("admin",))])
def test_another_role_is_refused_with_what_is_needed(role: Role, roles: tuple[Role, ...]) -> None:
    with pytest.raises(AccessRefused, match=f"your role is {role}; this needs {roles[0]}.*admin"):
        require(Visitor("anna", role), *roles)


def route_request(app: object, cookie: str = "") -> Request:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return Request({"type": "http", "app": app, "headers": headers})


@pytest.fixture(scope="module")
def app() -> App:
    """Gradio's own application, so that a change of how it keeps sessions fails here."""

    async def verify(_name: str, password: str) -> bool:
        return password == "right"

    with gr.Blocks(analytics_enabled=False) as demo:
        gr.Markdown("x")
    demo.auth = verify
    demo.auth_message = None
    demo.config = demo.get_config_file()
    demo.show_error = False
    return App.create_app(demo, app_kwargs={"openapi_url": None})


def cookies_after_sign_in(app: App, password: str) -> dict[str, str]:
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://page") as client:
            form = {"username": " anna ", "password": password}
            return await client.post("/login", data=form)

    return dict(asyncio.run(post()).cookies)


def test_the_session_is_found_by_either_of_gradios_cookies(app: App) -> None:
    cookies = cookies_after_sign_in(app, "right")
    assert len(cookies) == 2
    for name, token in cookies.items():
        session = signed_in(app, {name: token})
        assert session is not None
        assert (session.name, session.token) == ("anna", token)
        assert token in open_tokens(app)


def test_a_wrong_password_makes_no_session(app: App) -> None:
    before = open_tokens(app)
    assert cookies_after_sign_in(app, "wrong") == {}
    assert open_tokens(app) == before


def test_an_ended_or_unknown_session_is_none(app: App) -> None:
    cookies = cookies_after_sign_in(app, "right")
    end_session(app, next(iter(cookies.values())))
    assert signed_in(app, cookies) is None
    assert signed_in(app, dict.fromkeys(cookies, "forged")) is None
    assert signed_in(app, {}) is None


def test_a_route_knows_its_visitor(app: App, services: Services) -> None:
    add(services, "anna", "reader")
    cookies = cookies_after_sign_in(app, "right")
    name, token = next(iter(cookies.items()))
    known = visitor_of_route(services, route_request(app, f"{name}={token}"))
    assert known == Visitor("anna", "reader")
    assert visitor_of_route(services, route_request(app, f"{name}=forged")) is None
    assert visitor_of_route(services, route_request(app)) is None


def test_without_accounts_a_route_has_the_local_reader(app: App, services: Services) -> None:
    assert visitor_of_route(services, route_request(app)) == Visitor("local reader", "admin")
