"""Who tries to sign in: from which network, and in which browser."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from audit_app.settings import is_loopback_name

# So much of an IPv6 address is one customer's own to choose.
IPV6_HOST_BITS = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever tries to sign in.

    Attributes:
        address: For the log.
        guesser: Whose wrong passwords are counted together.
        party: Among whom attempts and turns are shared out.
        is_known: Whether the account signed in from this browser before.
    """

    address: str
    guesser: str
    party: str
    is_known: bool


def caller_of(name: str, address: str, number: str | None) -> Caller:
    """The caller.

    Args:
        name: Of the account that is to be signed in.
        address: As ``address_of`` gives it.
        number: Of the browser if it is known, ``None`` otherwise.
    """
    if number is None:
        return Caller(address, network_of(address), network_of(address), False)
    # All browsers of one account share its turns: an account has as many browsers as it likes.
    return Caller(address, f"browser {number}", f"account {name}", True)


def address_of(scope: Scope, *, through_link: bool) -> str:
    """The client's address; through the share link the forwarded one, said to be that.

    All who come through the link have this computer's address, for its tunnel ends here. The share
    server adds the address that it saw itself at the end of the list. Nobody else is believed.

    Args:
        scope: The request, its ``client`` being the other end of the socket.
        through_link: Whether it names the share link as its host.
    """
    peer = str((scope.get("client") or ("unknown",))[0])
    own = (scope.get("server") or ("",))[0]
    if not through_link or not (is_loopback_name(peer) or peer == own):
        return peer
    given = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    forwarded = [one.strip() for one in given if not is_loopback_name(one.strip())]
    return f"{_checked(forwarded[-1]) if forwarded else 'unknown'} (share link)"


def network_of(address: str) -> str:
    """The address, or the network of an IPv6 one: whoever has one of those has all of it."""
    bare = address.partition(" ")[0]
    try:
        parsed = ip_address(bare)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        network = ip_network((int(parsed), 128 - IPV6_HOST_BITS), strict=False)
        return address.replace(bare, str(network), 1)
    return address


def _checked(forwarded: str) -> str:
    """What was forwarded if it is an address: it is shown in the log."""
    try:
        return str(ip_address(forwarded))
    except ValueError:
        return "unknown"
