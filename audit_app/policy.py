"""What the guard lets through: hosts and their origins, paths, sizes, and the headers it adds."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from audit_app.settings import Settings, is_loopback_name

API = "/gradio_api"
MAX_LOGIN_BYTES = 4096

PUBLIC_PATHS = frozenset(
    {"/", "/login", "/login/", "/favicon.ico", "/robots.txt", "/theme.css"}
    | {f"{API}/startup-events", f"{API}/theme.css"}
)
STATIC_PREFIXES = ("/assets/", "/static/", "/svelte/")
SIGNED_IN_PATHS = frozenset(
    {"/logout", "/config", "/config/"}
    | {f"{API}/{name}" for name in ("queue/join", "queue/data", "run/predict", "run/predict/")}
    | {f"{API}/cancel", f"{API}/reset"}
)
OWN_PREFIX = "/audit/"
LOGOUT_PATH = "/logout"
SIGNED_IN_PREFIXES = (f"{API}/heartbeat/", OWN_PREFIX)
FILE_PREFIX = f"{API}/file="
JOIN_PATH = f"{API}/queue/join"
EVENT_PATHS = frozenset({JOIN_PATH, f"{API}/run/predict", f"{API}/run/predict/"})
LOGIN_PATHS = frozenset({"/login", "/login/"})
UNATTENDED_PATHS = frozenset({f"{API}/queue/data", f"{API}/reset"})
UNATTENDED_PREFIXES = (f"{API}/heartbeat/", *STATIC_PREFIXES)
UNATTENDED_TRIGGERS = frozenset(
    {"tick", "load", "unload", "change", "refresh", "then", "success", "failure"}
)

# Gradio's own page writes inline scripts and compiles gr.HTML's js_on_load with new Function.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def may_be_embedded(path: str) -> bool:
    """Whether a page may show what lies there as its picture, style or script.

    Nothing else: a picture whose address is ``/logout`` would sign out whoever sees it.
    """
    is_preview = path.startswith(f"{OWN_PREFIX}images/") and path.endswith("/preview")
    is_static = path.startswith((*STATIC_PREFIXES, f"{OWN_PREFIX}viewer/"))
    return path in PUBLIC_PATHS or is_static or is_preview


class Access(Enum):
    """Who may ask for a path."""

    PUBLIC = "everybody"
    SIGNED_IN = "whoever is signed in"
    NOBODY = "nobody"


@dataclass
class Policy:
    """The rules of one run. Only the shared origins change while it runs.

    Attributes:
        settings: How the app is served.
        accounts: Whether the app asks for a sign-in.
        unattended_events: Ids of the Gradio events that the page causes by itself.
        shared_origins: Host header of each open share link, with its origin.
    """

    settings: Settings
    accounts: bool
    unattended_events: Collection[int] = frozenset()
    shared_origins: dict[str, str] = field(default_factory=dict)
    shared_until: float = math.inf

    def share(self, url: str, *, until: float = math.inf) -> None:
        """Serve requests for a share link, too, until this moment (seconds since 1970).

        By the wall clock: a timer stands still while the computer sleeps.
        """
        parts = urlsplit(url)
        self.shared_origins[parts.netloc.lower()] = f"{parts.scheme}://{parts.netloc}".lower()
        self.shared_until = until

    def unshare(self) -> None:
        """Serve no share link any more."""
        self.shared_origins.clear()

    def origin_of(self, scope: Scope, host: str) -> str | None:
        """The one origin that pages of this host have; ``None`` for a host not served here.

        Args:
            scope: The request; its ``server`` is the socket's own address, not the client's word.
            host: The Host header.
        """
        host = host.lower()
        if host in self.shared_origins:
            return self.shared_origins[host] if time.time() < self.shared_until else None
        address, own_port = scope.get("server") or ("", None)
        scheme, default_port = ("https", 443) if self.settings.is_https else ("http", 80)
        name, port = split_host(host, default_port)
        if port != own_port or name not in self._names_of(address):
            return None
        return f"{scheme}://{host}"

    def _names_of(self, address: str) -> set[str]:
        """Names under which a browser may reach a socket; an address literal cannot be rebound."""
        names = {name.strip("[]").lower() for name in self.settings.allowed_hosts}
        names.add(address.lower())
        if is_loopback_name(address):
            names |= {"localhost", "127.0.0.1", "::1"}
        if not is_wildcard(self.settings.host):
            names.add(self.settings.host.strip("[]").lower())
        return names

    def access_to(self, path: str) -> Access:
        """Who may ask for a path; everything that the page does not need is for nobody."""
        if path in PUBLIC_PATHS or path.startswith(STATIC_PREFIXES):
            return Access.PUBLIC
        if path in SIGNED_IN_PATHS or path.startswith(SIGNED_IN_PREFIXES) or is_local_file(path):
            return Access.SIGNED_IN if self.accounts else Access.PUBLIC
        return Access.NOBODY

    def is_unattended(self, path: str) -> bool:
        """Whether the page asks for a path by itself, without a person."""
        return path in UNATTENDED_PATHS or path.startswith(UNATTENDED_PREFIXES)

    def is_attended(self, path: str, event: int | None) -> bool:
        """Whether a person caused a request.

        Args:
            path: What is asked for.
            event: The Gradio event that it runs.
        """
        if path in EVENT_PATHS:
            return event not in self.unattended_events
        return not self.is_unattended(path)

    def max_body_of(self, path: str) -> int:
        """Bytes that a request to this path may carry."""
        return MAX_LOGIN_BYTES if path in LOGIN_PATHS else self.settings.max_body_bytes


def is_local_file(path: str) -> bool:
    """Whether a path asks Gradio for a file, and not to fetch something from elsewhere."""
    return path.startswith(FILE_PREFIX) and not re.match(
        r"[a-z][a-z0-9+.-]+:", path.removeprefix(FILE_PREFIX), flags=re.IGNORECASE
    )


def is_wildcard(host: str) -> bool:
    """Whether ``host`` means every address of the machine."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def split_host(host: str, default_port: int) -> tuple[str, int | None]:
    """Name and port of a Host header; the port is ``None`` where it is not a number."""
    match = re.fullmatch(
        r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^:\[\]@/]+))(?::(?P<port>\d{1,5}))?", host
    )
    if match is None:
        return "", None
    name = match["six"] or match["name"]
    return name, int(match["port"]) if match["port"] else default_port
