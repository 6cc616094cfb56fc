"""A link through a share server: when it may be opened, opening it, closing it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import gradio as gr
from gradio import networking, tunneling

from annotations.errors import AnnotationError
from annotations.workspace_lock import WorkspaceLock, hold_pictures
from audit_app.errors import AuditError
from audit_app.policy import Policy
from audit_app.services import Services
from audit_app.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
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
    n_pictures: int
    lock: WorkspaceLock
    ended: threading.Event

    def close(self, reason: str = "the page was stopped") -> None:
        """Take the link off the net; the page stays served here. Does nothing a second time."""
        self.ended.set()
        self.policy.unshare()
        kill_tunnels(self.tunnels)
        self.lock.release()
        if self.services.presence.link_closed():
            note_share(self.services, "share off", {"reason": reason})


def note_share(services: Services, kind: str, details: dict[str, object]) -> None:
    """Keep in the log that a link was opened or closed, and through which server."""
    server = services.settings.share_server or "Gradio's public share server"
    services.store.log.add(kind, "command line", server, details)


def check_sharing(settings: Settings, services: Services, *, accounts: bool) -> None:
    """Refuse a link that would show pictures to people who must not see them.

    Raises:
        SharingRefused: If there are no accounts, or if nobody made sure that all pictures of now
            name no patient and the link would go through somebody else's server.
    """
    if not settings.share:
        return
    if not accounts:
        raise SharingRefused(
            "a share link needs accounts, otherwise everybody on the internet could read the "
            "workspace; add one with 'launch.py users W add NAME --role reader'"
        )
    if settings.share_server is None:
        _check_confirmed(services)


def _check_confirmed(services: Services) -> None:
    n_pictures = services.store.images.count_real()
    n_confirmed = services.workspace.settings.pseudonymised
    if n_pictures != n_confirmed:
        raise SharingRefused(
            f"{n_confirmed:,} of the {n_pictures:,} pictures of this workspace are marked as "
            "pseudonymised, and all would pass through Gradio's public share server; look through "
            f"those that are not, then set 'pseudonymised = {n_pictures}' in "
            f"{services.workspace.settings_file.name}, otherwise {OWN_SERVER}"
        )


def open_link(demo: gr.Blocks, services: Services, settings: Settings, policy: Policy) -> ShareLink:
    """Open the link to a running demo.

    The tunnel is opened here and not by ``launch(share=True)``: that one would serve the page
    with scripts from a CDN, and would swallow the reason when no link comes.

    Raises:
        SharingFailed: If no link comes; the message gives the reason.
        SharingRefused: If pictures came in since that was checked.
        WorkspaceError: If pictures are being imported.
    """
    is_public = settings.share_server is None
    n_pictures = services.store.images.count()
    lock = hold_pictures(services.workspace.root) if is_public else WorkspaceLock(None)
    try:
        if is_public:
            _check_confirmed(services)
        url, tunnels = _tunnels_to(demo, settings)
    except BaseException:
        lock.release()
        raise
    closes_at = services.presence.link_opened(url, settings.share_s).closes_at
    policy.share(url, until=closes_at.timestamp())
    ended = threading.Event()
    link = ShareLink(url, closes_at, services, policy, tunnels, n_pictures, lock, ended)
    note_share(services, "share on", {"closes_at": closes_at.isoformat(timespec="seconds")})
    threading.Thread(target=_close_in_time, args=(link, settings), daemon=True).start()
    return link


def _close_in_time(link: ShareLink, settings: Settings) -> None:
    """Close the link when its time is over, or when pictures came in all the same.

    They can where the file system knows no locks, as some network drives and Windows do not.
    """
    until = time.monotonic() + settings.share_s
    while not link.ended.wait(max(0.0, min(LOOK_EVERY_S, until - time.monotonic()))):
        if time.monotonic() >= until:
            link.close("its time was over")
        elif settings.share_server is None and _count_pictures(link.services) > link.n_pictures:
            link.close("pictures were imported that nobody has looked through")


def _count_pictures(services: Services) -> int:
    """How many pictures there are; 0 while the store cannot say, for it is asked again."""
    try:
        return services.store.images.count()
    except AnnotationError:
        return 0


def kill_tunnels(tunnels: tuple[tunneling.Tunnel, ...]) -> None:
    """End the tunnel processes."""
    for tunnel in tunnels:
        tunnel.kill()  # type: ignore[no-untyped-call]
        if tunnel in tunneling.CURRENT_TUNNELS:
            tunneling.CURRENT_TUNNELS.remove(tunnel)


def _tunnels_to(demo: gr.Blocks, settings: Settings) -> tuple[str, tuple[tunneling.Tunnel, ...]]:
    """The link's address and the processes behind it."""
    before = list(tunneling.CURRENT_TUNNELS)
    url, reason = _tunnel_to(demo, settings)
    tunnels = tuple(tunnel for tunnel in tunneling.CURRENT_TUNNELS if tunnel not in before)
    if not urlsplit(url).netloc:
        kill_tunnels(tunnels)
        raise SharingFailed(
            f"no share link came: {reason or f'the share server answered {url!r}'}; nothing is "
            f"served. Check the network, or {OWN_SERVER}"
        )
    scheme = "https" if settings.share_is_https else "http"
    return urlunsplit((scheme, *urlsplit(url)[1:])), tunnels


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
