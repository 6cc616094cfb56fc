"""A link through a share server: when it may be opened, opening it, closing it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import gradio as gr
from gradio import networking, tunneling

from annotations.workspace import Workspace
from audit_app.errors import AuditError
from audit_app.policy import Policy
from audit_app.services import Services
from audit_app.settings import Settings

log = logging.getLogger(__name__)

OWN_SERVER = "use your hospital's own share server (--share-server) or a VPN"


class SharingRefused(AuditError):
    """A link that must not be opened."""


class SharingFailed(AuditError):
    """A link that could not be opened; nothing is served then."""


@dataclass(frozen=True, slots=True)
class ShareLink:
    """An open link."""

    url: str
    closes_at: datetime
    services: Services
    policy: Policy
    tunnels: tuple[tunneling.Tunnel, ...]
    timer: threading.Timer

    def close(self, reason: str = "the page was stopped") -> None:
        """Take the link off the net; the page stays served here. Does nothing a second time."""
        self.timer.cancel()
        self.policy.unshare()
        kill_tunnels(self.tunnels)
        if self.services.presence.link_closed():
            note_share(self.services, "share off", {"reason": reason})


def note_share(services: Services, kind: str, details: dict[str, object]) -> None:
    """Keep in the log that a link was opened or closed, and through which server."""
    server = services.settings.share_server or "Gradio's public share server"
    services.store.log.add(kind, "command line", server, details)


def check_sharing(settings: Settings, workspace: Workspace, *, accounts: bool) -> None:
    """Refuse a link that would show pictures to people who must not see them.

    Raises:
        SharingRefused: If there are no accounts, or if the pictures may be identifiable and
            the link would go through somebody else's server.
    """
    if not settings.share:
        return
    if not accounts:
        raise SharingRefused(
            "a share link needs accounts, otherwise everybody on the internet could read the "
            "workspace; add one with 'launch.py users W add NAME --role reader'"
        )
    facts = workspace.settings
    if settings.share_server is None and not (facts.synthetic or facts.pseudonymised):
        raise SharingRefused(
            "the pictures of this workspace are not marked as pseudonymised and would pass "
            "through Gradio's public share server; set 'pseudonymised = true' in "
            f"{workspace.settings_file.name} if they are, otherwise {OWN_SERVER}"
        )


def open_link(demo: gr.Blocks, services: Services, settings: Settings, policy: Policy) -> ShareLink:
    """Open the link to a running demo.

    The tunnel is opened here and not by ``launch(share=True)``: that one would serve the page
    with scripts from a CDN, and would swallow the reason when no link comes.

    Raises:
        SharingFailed: If no link comes; the message gives the reason.
    """
    before = list(tunneling.CURRENT_TUNNELS)
    url, reason = _tunnel_to(demo, settings)
    tunnels = tuple(tunnel for tunnel in tunneling.CURRENT_TUNNELS if tunnel not in before)
    if not urlsplit(url).netloc:
        kill_tunnels(tunnels)
        raise SharingFailed(
            f"no share link came: {reason or f'the share server answered {url!r}'}; nothing is "
            f"served. Check the network, or {OWN_SERVER}"
        )
    url = urlunsplit(("https" if settings.share_is_https else "http", *urlsplit(url)[1:]))
    closes_at = services.presence.link_opened(url, settings.share_s).closes_at
    policy.share(url, until=closes_at.timestamp())
    timer = threading.Timer(settings.share_s, lambda: link.close("its time was over"))
    timer.daemon = True
    link = ShareLink(url, closes_at, services, policy, tunnels, timer)
    note_share(services, "share on", {"closes_at": closes_at.isoformat(timespec="seconds")})
    timer.start()
    return link


def kill_tunnels(tunnels: tuple[tunneling.Tunnel, ...]) -> None:
    """End the tunnel processes."""
    for tunnel in tunnels:
        tunnel.kill()  # type: ignore[no-untyped-call]
        if tunnel in tunneling.CURRENT_TUNNELS:
            tunneling.CURRENT_TUNNELS.remove(tunnel)


def _tunnel_to(demo: gr.Blocks, settings: Settings) -> tuple[str, str]:
    """The link's address, or "" and the reason why there is none."""
    certificate = settings.share_certificate
    try:
        url = networking.setup_tunnel(
            local_host=demo.server_name,
            local_port=demo.server_port,
            share_token=demo.share_token,
            share_server_address=settings.share_server,
            share_server_tls_certificate=str(certificate) if certificate else None,
        )
    except Exception as error:  # noqa: BLE001 - Gradio raises anything; the reason is passed on
        cause = error.__cause__
        return "", f"{error}" + (f" ({type(cause).__name__}: {cause})" if cause else "")
    return url or "", ""
