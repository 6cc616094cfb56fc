from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from audit_app.settings import InvalidSettings, Settings, is_loopback_name


def test_the_defaults_stay_on_this_machine_and_share_nothing() -> None:
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.is_loopback
    assert not settings.share
    assert not settings.is_https
    assert settings.idle_s == 1800
    assert settings.absolute_s == 43200


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().host = "0.0.0.0"  # type: ignore[misc]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1", "[::1]"]
)
def test_these_hosts_are_loopback(host: str) -> None:
    assert is_loopback_name(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "localhost.example", "", "1270.0.0.1"]
)
def test_these_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback_name(host)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_refused_by_its_number(port: int) -> None:
    with pytest.raises(InvalidSettings, match=f"port {port} does not exist"):
        Settings(port=port)


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="come together"):
        Settings(certificate=Path("cert.pem"))


@pytest.mark.parametrize("name", ["share_s", "idle_s", "absolute_s", "max_body_bytes"])
def test_a_limit_that_is_not_above_zero_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name} is 0"):
        Settings(**{name: 0})


@pytest.mark.parametrize("host", ["http://clinic", "clinic:80", "", " "])
def test_an_allowed_host_is_a_bare_name(host: str) -> None:
    with pytest.raises(InvalidSettings, match="no bare host name"):
        Settings(allowed_hosts=(host,))


@pytest.mark.parametrize(
    "address", ["clinic", ":7000", "clinic:", "clinic:http", "clinic:0", "clinic:70000"]
)
def test_a_share_server_needs_a_host_and_a_port(address: str) -> None:
    with pytest.raises(InvalidSettings, match="no 'host:port'"):
        Settings(share_server=address)


def test_the_wildcard_of_ipv6_is_refused_with_what_to_give() -> None:
    with pytest.raises(InvalidSettings, match=r"'0\.0\.0\.0' or one address"):
        Settings(host="::")


@pytest.mark.parametrize(
    ("host", "name"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.1", "127.0.0.1")]
)
def test_an_address_of_ipv6_stands_in_brackets(host: str, name: str) -> None:
    assert Settings(host=host).server_name == name


def test_a_whole_share_server_is_taken() -> None:
    assert Settings(share_server="share.clinic.example:7000").share_server is not None
