"""How one run of the app is served: frozen, checked once, known to every part."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from audit_app.errors import AuditError

MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S
LONGEST_SHARE_S = 72 * HOUR_S
MEBIBYTE = 1 << 20


class InvalidSettings(AuditError):
    """A setting that cannot be served with; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the app listens, to whom it may be shown, and for how long.

    Attributes:
        host: Address to listen on. Anything but loopback needs accounts.
        port: Port to listen on; ``None`` takes the first free one from 7860 on.
        allowed_hosts: Further names under which browsers may ask for the page (``name`` only,
            the port is the one listened on). Loopback names and the bound address always are.
        certificate: TLS certificate file (PEM); needs ``certificate_key``.
        certificate_key: TLS key file (PEM).
        share: Whether to open a link through a share server.
        share_server: ``host:port`` of an own share server; ``None`` is Gradio's public one.
        share_certificate: CA file for the connection to an own share server.
        share_is_https: Whether links of the share server are https.
        share_s: Seconds after which the link is closed.
        open_browser: Whether to open the page in the user's browser.
        idle_s: Seconds without a user's action after which a session ends.
        absolute_s: Seconds after signing in at which a session ends in any case.
        max_body_bytes: Largest request body.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    certificate_key: Path | None = None
    share: bool = False
    share_server: str | None = None
    share_certificate: Path | None = None
    share_is_https: bool = True
    share_s: float = 4 * HOUR_S
    open_browser: bool = True
    idle_s: float = 30 * MINUTE_S
    absolute_s: float = 12 * HOUR_S
    max_body_bytes: int = 4 * MEBIBYTE

    def __post_init__(self) -> None:
        if self.port is not None and not 0 < self.port < 1 << 16:
            raise InvalidSettings(f"port {self.port} does not exist; give one of 1 to 65535")
        if (self.certificate is None) != (self.certificate_key is None):
            raise InvalidSettings("a TLS certificate and its key come together; give both or none")
        for name in ("share_s", "idle_s", "absolute_s", "max_body_bytes"):
            if not getattr(self, name) > 0:
                raise InvalidSettings(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.host.strip("[]") == "::":
            raise InvalidSettings("host '::' is not supported; give '0.0.0.0' or one address")
        for host in self.allowed_hosts:
            if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:.]+\]", host):
                raise InvalidSettings(
                    f"allowed host {host!r} is no bare host name; give one like 'reading-room'"
                )
        check_share_server(self.share_server)

    @property
    def server_name(self) -> str:
        """The host in the form that stands in an address: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host and self.host[0] != "[" else self.host

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return is_loopback_name(self.host)

    @property
    def is_https(self) -> bool:
        """Whether the page itself speaks TLS."""
        return self.certificate is not None


def is_loopback_name(host: str) -> bool:
    """Whether ``host`` is ``localhost`` or an address of this machine's loopback."""
    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``8h``, ``90m`` or ``1h30m``.

    Raises:
        InvalidSettings: If it is none, or not between one minute and three days.
    """
    match = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,4})m)?", text.strip().lower())
    if match is None or not any(match.groups()):
        raise InvalidSettings(f"{text!r} is no duration; give hours or minutes, like 8h or 90m")
    seconds = int(match[1] or 0) * HOUR_S + int(match[2] or 0) * MINUTE_S
    if not MINUTE_S <= seconds <= LONGEST_SHARE_S:
        raise InvalidSettings(f"{text!r} is too short or too long; give 1m to 72h")
    return seconds


def check_share_server(address: str | None) -> None:
    """Refuse a share server that is not ``host:port``.

    Raises:
        InvalidSettings: If there is no host, or no port between 1 and 65535.
    """
    if address is None:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise InvalidSettings(
            f"share server {address!r} is no 'host:port'; give one like 'share.clinic.example:7000'"
        )
