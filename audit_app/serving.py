"""Serving a built page: launched with everything that Gradio leaves open closed."""

from __future__ import annotations

import logging
import os
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.routes import App, ORJSONResponse
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from annotations.workspace import Workspace
from audit_app.accounts import build_verify
from audit_app.errors import AuditError
from audit_app.guard import Guard
from audit_app.known_browsers import KnownBrowsers
from audit_app.page_calls import KEPT_PAGES
from audit_app.policy import UNATTENDED_TRIGGERS, Policy
from audit_app.queue_share import QUEUE_SIZE
from audit_app.services import Services
from audit_app.settings import Settings
from audit_app.sharing import ShareLink, check_sharing, open_link
from audit_app.sign_in_limits import SignInLimits
from audit_app.stop_request import stop_signal
from audit_app.witness import LogWitness

log = logging.getLogger(__name__)

MAX_THREADS = 16
# Gradio's form shows nothing when an attempt has to wait, so it is said beforehand.
SIGN_IN_MESSAGE = (
    "Sign in with the account that an admin of this workspace made for you. After five wrong "
    "passwords in a row the form does not answer for a while: 2 seconds, then twice as long "
    "each time, at most 5 minutes. When very many sign in at once, try again in half a minute. If "
    "your session ended while you were reading: changes that were not saved yet are kept in this "
    "browser and are saved when you sign in again."
)
# A page left open after its session ended would otherwise fail with each click.
SIGN_IN_AGAIN = """<script>
(() => {
  const ask = window.fetch;
  window.fetch = async (...args) => {
    const answer = await ask(...args);
    if (answer.status === 401) window.location.reload();
    return answer;
  };
})();
</script>"""


class ServingRefused(AuditError):
    """A page that must not be served like this; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Look:
    """What Gradio 6 takes at launch instead of at building: theme, style, scripts.

    Attributes:
        theme: Colours, fonts and sizes; ``None`` is Gradio's own theme.
        css: Style of our own.
        js: Script that runs when the page has loaded.
        head: HTML for the page's head.
        dark: Whether the page is dark unless the address says ``?__theme=light``.
    """

    theme: gr.themes.Base | None = None
    css: str | None = None
    js: str | None = None
    head: str | None = None
    dark: bool = True


@dataclass(frozen=True, slots=True)
class RunningApp:
    """A page that is being served.

    Attributes:
        demo: The page.
        url: Its address on this machine.
        share_url: Its address on the internet, ``None`` without a link.
        policy: The guard's rules.
    """

    demo: gr.Blocks
    url: str
    share_url: str | None
    policy: Policy
    link: ShareLink | None

    def close(self) -> None:
        """Take the link off the net and stop serving. Does nothing a second time."""
        if self.link is not None:
            self.link.close()
        self.demo.close(verbose=False)


class GuardedApp(App):
    """Gradio's application with the guard outside of everything, also of its CORS answers."""

    def __init__(
        self, policy: Policy, routes: Sequence[BaseRoute], services: Services, *, dark: bool
    ) -> None:
        super().__init__(default_response_class=ORJSONResponse, openapi_url=None)
        self._policy = policy
        self._services = services
        self._dark = dark
        self.router.routes.extend(routes)

    def build_middleware_stack(self) -> ASGIApp:
        """Gradio's own stack behind the guard."""
        stack = super().build_middleware_stack()
        served = DarkByDefault(stack) if self._dark else stack
        limits = SignInLimits(KnownBrowsers(self._services.workspace.seal))
        return Guard(served, self._policy, limits=limits, witness=LogWitness(self._services))


class DarkByDefault:
    """Sends page views that name no theme to the dark one; Gradio's page reads the address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect, or pass on."""
        is_page_view = scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET"
        if is_page_view and b"__theme=" not in scope["query_string"]:
            query = "&".join(filter(None, (scope["query_string"].decode(), "__theme=dark")))
            await RedirectResponse(f"/?{query}")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def serve(
    demo: gr.Blocks,
    services: Services,
    settings: Settings,
    routes: Sequence[BaseRoute] = (),
    *,
    look: Look | None = None,
    when_ready: Callable[[RunningApp], None] | None = None,
) -> None:
    """Serve a page until SIGTERM, SIGINT or Ctrl-C, then stop cleanly.

    Args:
        demo: The built page.
        services: The opened workspace.
        settings: How to serve it.
        routes: Our own routes, below ``/audit/``.
        look: Theme, style and scripts.
        when_ready: Called once the page can be opened.

    Raises:
        AuditError: If the page must not or cannot be served like this.
    """
    with stop_signal() as stop:
        running = start(demo, services, settings, routes, look=look)
        try:
            if when_ready is not None:
                when_ready(running)
            stop.wait()
        finally:
            running.close()


def start(
    demo: gr.Blocks,
    services: Services,
    settings: Settings,
    routes: Sequence[BaseRoute] = (),
    *,
    look: Look | None = None,
) -> RunningApp:
    """Serve a page in the background.

    Returns:
        The running page; the caller closes it.

    Raises:
        AuditError: If the page must not or cannot be served like this; then nothing is.
    """
    accounts = bool(services.store.accounts.all())
    check_host(settings, accounts=accounts)
    check_sharing(settings, services, accounts=accounts)
    check_private(demo)
    policy = Policy(settings, accounts, unattended_events(demo))
    look = look or Look()
    try:
        app = GuardedApp(policy, routes, services, dark=look.dark)
        _launch(demo, services, settings, app, look)
        link = open_link(demo, services, settings, policy) if settings.share else None
    except BaseException:
        demo.close(verbose=False)
        raise
    running = RunningApp(demo, str(demo.local_url), link.url if link else None, policy, link)
    if settings.open_browser:
        webbrowser.open(running.url)
    return running


def check_host(settings: Settings, *, accounts: bool) -> None:
    """Refuse to listen beyond this machine without accounts.

    Raises:
        ServingRefused: If the host is not loopback and nobody would have to sign in.
    """
    if settings.is_loopback:
        return
    if not accounts:
        raise ServingRefused(
            f"host {settings.host!r} can be reached from other machines, which needs accounts; "
            "add one with 'launch.py users W add NAME --role reader', or listen on 127.0.0.1"
        )
    if not settings.is_https:
        log.warning(
            "listening on %s without TLS: passwords and pictures cross the network in clear",
            settings.host,
        )


def check_private(demo: gr.Blocks) -> None:
    """Refuse a page with a public event: Gradio shows those to people who have not signed in.

    Raises:
        ServingRefused: If an event has not ``api_visibility="private"``; also those that a
            ``value=callable`` or ``every=`` makes are public.
    """
    public = sorted(
        {
            str(event.name or event.js or event.targets)[:60]
            for event in demo.fns.values()
            if event.api_visibility != "private"
        }
    )
    if public:
        raise ServingRefused(
            f"events that are not private: {', '.join(public)}; give each "
            "api_visibility='private' and fill components through demo.load"
        )


def unattended_events(demo: gr.Blocks) -> frozenset[int]:
    """Ids of the events that the page causes without a person, such as a timer's."""
    return frozenset(
        event_id
        for event_id, event in demo.fns.items()
        if all(trigger in UNATTENDED_TRIGGERS for _, trigger in event.targets)
    )


def blocked_paths(workspace: Workspace) -> list[str]:
    """All of the workspace but Gradio's own temporary folder in its cache."""
    own = workspace.cache / "gradio"
    known = {workspace.database, workspace.models, workspace.exports, workspace.images}
    known |= {workspace.settings_file, *workspace.root.iterdir(), *_children(workspace.cache)}
    return sorted(str(path.absolute()) for path in known - {own, workspace.cache})


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _launch(demo: gr.Blocks, services: Services, settings: Settings, app: App, look: Look) -> None:
    """Launch with the guard in front; returns once the page answers.

    Raises:
        ServingRefused: If the port is taken.
    """
    head = look.head or ""
    auth: Any = None  # Gradio awaits a coroutine function, which its annotation does not say
    if services.store.accounts.all():
        auth = build_verify(services.store)
        head += SIGN_IN_AGAIN
    demo.analytics_enabled = False
    # The guard decides itself whose word on the client's address counts, see ``address_of``.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    demo.queue(max_size=QUEUE_SIZE, default_concurrency_limit=8, api_open=False)
    try:
        demo.launch(
            _app=app,
            server_name=settings.server_name,
            server_port=settings.port,
            ssl_certfile=_text(settings.certificate),
            ssl_keyfile=_text(settings.certificate_key),
            ssl_verify=False,  # only of Gradio's own question to itself whether it is up
            auth=auth,
            auth_message=SIGN_IN_MESSAGE,
            share=False,
            inline=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            debug=False,
            show_error=False,
            run_history=False,
            footer_links=[],
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
            strict_cors=True,
            allowed_paths=None,
            blocked_paths=blocked_paths(services.workspace),
            max_file_size="64mb",
            max_threads=MAX_THREADS,
            state_session_capacity=KEPT_PAGES,
            root_path="",
            theme=look.theme,
            css=look.css,
            js=look.js,
            head=head or None,
        )
    except OSError as error:
        raise ServingRefused(_no_port(settings)) from error


def _no_port(settings: Settings) -> str:
    if settings.port is None:
        return f"no port from 7860 to 7959 is free on {settings.host}; give another with --port"
    return (
        f"port {settings.port} on {settings.host} cannot be listened on, probably because "
        "another program uses it; give another one with --port"
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
