from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from audit_app.guard import Guard, where_it_failed
from audit_app.known_browsers import KnownBrowsers
from audit_app.login_backoff import wait_after
from audit_app.page_calls import call_in
from audit_app.policy import Policy
from audit_app.session_clock import SessionClock
from audit_app.settings import Settings
from audit_app.sign_in_limits import SignInLimits

OWN = "127.0.0.1:7860"
SHARED = "abc.share.example"
COOKIE = "access-token-unsecure-ID=t1"
TIMER_EVENT, SAVE_EVENT = 7, 8
Pairs = Sequence[tuple[str, str]]


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def cookies(self) -> list[str]:
        return [value for key, value in self.headers if key.lower() == "set-cookie"]


@dataclass
class Inner:
    """The application behind the guard: reads the body and answers what it was told to."""

    status: int = 200
    headers: Pairs = ()
    error: Exception | None = None
    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.bodies.append(await self._read(receive))
        if self.error is not None:
            raise self.error
        headers = [(name.encode(), value.encode()) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"inner"})

    async def _read(self, receive: Receive) -> bytes:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                return body


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def seal(*parts: str) -> str:
    """As a workspace seals, which nobody can do without its key."""
    return hashlib.sha256(repr(("key", parts)).encode()).hexdigest()


class Site:
    """A guard with an inner application, asked request by request."""

    def __init__(self, *, accounts: bool = False, settings: Settings | None = None) -> None:
        self.settings = settings or Settings(idle_s=100, absolute_s=1000)
        self.policy = Policy(self.settings, accounts, frozenset({TIMER_EVENT}))
        self.clock = Clock()
        self.inner = Inner()
        queue = SimpleNamespace(event_queue_per_concurrency_id={})
        self.app = SimpleNamespace(
            tokens={"t1": "anna"},
            cookie_id="ID",
            get_blocks=lambda: SimpleNamespace(_queue=queue),
        )
        self.guard = Guard(
            self.inner,
            self.policy,
            limits=SignInLimits(KnownBrowsers(seal), self.clock),
            clock=SessionClock(self.settings.idle_s, self.settings.absolute_s, self.clock),
        )

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        *,
        host: str = OWN,
        headers: Pairs = (),
        body: Iterable[bytes] = (b"",),
        **scope: Any,
    ) -> Answer:
        return asyncio.run(
            self.answer(path, method, host=host, headers=headers, body=body, **scope)
        )

    async def answer(
        self,
        path: str,
        method: str,
        *,
        host: str = OWN,
        headers: Pairs = (),
        body: Iterable[bytes] = (b"",),
        **scope: Any,
    ) -> Answer:
        chunks = list(body)
        messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1}
            for i, chunk in enumerate(chunks)
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        full: Scope = {
            "type": "http",
            "app": self.app,
            "method": method,
            "path": path,
            "scheme": "http",
            "query_string": b"",
            "server": ("127.0.0.1", 7860),
            "client": ("127.0.0.1", 50000),
            "headers": [(k.lower().encode(), v.encode()) for k, v in [("host", host), *headers]],
        }
        await self.guard({**full, **scope}, receive, send)
        starts = [message for message in sent if message["type"] == "http.response.start"]
        assert len(starts) == 1, sent
        return Answer(
            starts[0]["status"],
            [(k.decode(), v.decode()) for k, v in starts[0]["headers"]],
            b"".join(message.get("body", b"") for message in sent),
        )

    def sign_in(
        self,
        name: str = "anna",
        client: str = "10.0.0.1",
        headers: Pairs = (),
        **more: Any,
    ) -> Answer:
        return asyncio.run(self.signing_in(name, client, headers, **more))

    async def signing_in(
        self, name: str, client: str = "10.0.0.1", headers: Pairs = (), **more: Any
    ) -> Answer:
        form = f"username={name}&password=guess".encode()
        headers = [("content-type", "application/x-www-form-urlencoded"), *headers]
        return await self.answer(
            "/login", "POST", headers=headers, body=(form,), client=(client, 50000), **more
        )


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def members() -> Site:
    return Site(accounts=True)


class TestHosts:
    @pytest.mark.parametrize("host", [OWN, "localhost:7860", "LocalHost:7860", "[::1]:7860"])
    def test_loopback_names_with_the_own_port_are_served(self, site: Site, host: str) -> None:
        assert site.ask(host=host).status == 200

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:7860", "127.0.0.1", "127.0.0.1:7861", "", "127.0.0.1:",
         "localhost:7860.evil.example", "evil@127.0.0.1:7860", "127.0.0.1:78600000", SHARED],
    )  # fmt: skip
    def test_any_other_host_or_port_is_misdirected(self, site: Site, host: str) -> None:
        assert site.ask(host=host).status == 421
        assert site.inner.scopes == []

    def test_a_share_link_ends_by_the_wall_clock_although_its_timer_slept(self, site: Site) -> None:
        site.policy.share(f"https://{SHARED}", until=time.time() - 1)
        assert site.ask(host=SHARED).status == 421

    def test_a_share_link_is_served_only_while_it_is_open(self, site: Site) -> None:
        site.policy.share(f"https://{SHARED}")
        assert site.ask(host=SHARED).status == 200
        site.policy.unshare()
        assert site.ask(host=SHARED).status == 421

    def test_the_address_of_a_network_socket_is_served_and_localhost_there_is_not(self) -> None:
        site = Site(accounts=True, settings=Settings(host="0.0.0.0"))
        lan = ("192.168.1.5", 7860)
        assert site.ask(host="192.168.1.5:7860", server=lan).status == 200
        assert site.ask(host="localhost:7860", server=lan).status == 421
        assert site.ask(host="192.168.1.6:7860", server=lan).status == 421
        assert site.ask(host="0.0.0.0:7860", server=lan).status == 421

    def test_a_named_host_and_an_allowed_one_are_served(self) -> None:
        site = Site(accounts=True, settings=Settings(host="reading-room", allowed_hosts=("pacs",)))
        lan = ("192.168.1.5", 7860)
        assert site.ask(host="reading-room:7860", server=lan).status == 200
        assert site.ask(host="pacs:7860", server=lan).status == 200
        assert site.ask(host="pacs:80", server=lan).status == 421


class TestOrigins:
    def test_the_own_origin_may_post(self, site: Site) -> None:
        headers = [("origin", f"http://{OWN}"), ("sec-fetch-site", "same-origin")]
        assert site.ask("/audit/x", "POST", headers=headers).status == 200

    @pytest.mark.parametrize(
        "origin",
        ["http://127.0.0.1:7861", "http://127.0.0.1", "https://127.0.0.1:7860", "null",
         "http://localhost:7860", "http://evil.example", "http://127.0.0.1:7860.evil.example"],
    )  # fmt: skip
    def test_any_other_origin_is_refused_also_by_its_port(self, site: Site, origin: str) -> None:
        assert site.ask("/audit/x", "POST", headers=[("origin", origin)]).status == 403
        assert site.ask("/", headers=[("origin", origin)]).status == 403
        assert site.inner.scopes == []

    def test_a_share_link_has_its_own_https_origin(self, site: Site) -> None:
        site.policy.share(f"https://{SHARED}")
        for origin, status in ((f"https://{SHARED}", 200), (f"http://{OWN}", 403)):
            headers = [("origin", origin)]
            assert site.ask("/audit/x", "POST", host=SHARED, headers=headers).status == status

    def test_a_link_on_another_site_may_open_the_page_and_nothing_else(self, site: Site) -> None:
        click = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"),
                 ("sec-fetch-dest", "document")]  # fmt: skip
        assert site.ask("/", headers=click).status == 200
        for path in ("/logout", "/audit/images/1/preview", "/gradio_api/file=/x"):
            assert site.ask(path, headers=click).status == 403
        assert site.ask("/", "POST", headers=click).status == 403

    @pytest.mark.parametrize("relation", ["cross-site", "same-site"])
    @pytest.mark.parametrize("dest", ["image", "iframe", "script", "empty"])
    def test_another_site_cannot_embed_anything(self, site: Site, relation: str, dest: str) -> None:
        mode = "navigate" if dest == "iframe" else "no-cors"
        headers = [("sec-fetch-site", relation), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)]
        assert site.ask("/", headers=headers).status == 403

    @pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
    def test_methods_that_the_page_does_not_use_are_refused(self, site: Site, method: str) -> None:
        assert site.ask("/", method).status == 405


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        ["/gradio_api/token", "/gradio_api/token/", "/openapi.json", "/gradio_api/openapi.json",
         "/docs", "/redoc", "/gradio_api/info", "/monitoring", "/monitoring/summary",
         "/gradio_api/run/save", "/gradio_api/call/save", "/gradio_api/api/save",
         "/gradio_api/proxy=https://x.hf.space", "/gradio_api/vibe-code", "/gradio_api/deep_link",
         "/gradio_api/process_recording", "/gradio_api/dev/reload", "/gradio_api/runs",
         "/gradio_api/mcp", "/gradio_api/file/x", "/gradio_api/queue/status", "/gradio_api/user",
         "/gradio_api/stream/x", "/gradio_api/upload", "/gradio_api/upload/",
         "/gradio_api/upload_progress", "/gradio_api/component_server",
         "/gradio_api/custom_component/a/b/c/d", "/pwa_icon", "/audit"],
    )  # fmt: skip
    def test_what_the_page_does_not_need_is_not_there(self, site: Site, path: str) -> None:
        assert site.ask(path).status == 404
        assert site.ask(path, "POST").status == 404
        assert site.inner.scopes == []

    @pytest.mark.parametrize(
        "target", ["http://169.254.169.254/", "HTTPS://x", "ftp://x", "file:/x"]
    )
    def test_the_file_route_fetches_nothing_from_elsewhere(self, site: Site, target: str) -> None:
        assert site.ask(f"/gradio_api/file={target}").status == 404

    @pytest.mark.parametrize("dest", ["image", "iframe", "audio", "object"])
    def test_what_stands_in_a_page_cannot_sign_anybody_out_or_download(
        self, members: Site, dest: str
    ) -> None:
        headers = [("cookie", COOKIE), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", dest)]
        for path in ("/logout", "/audit/exports/csv", "/gradio_api/queue/data"):
            assert members.ask(path, headers=headers).status == 403
        assert members.inner.scopes == []
        for path in ("/assets/a.png", "/audit/viewer/viewer.css", "/audit/images/1/preview"):
            assert members.ask(path, headers=headers).status == 200

    @pytest.mark.parametrize("path", ["/home/a/x.csv", "C:/x.csv"])
    def test_the_file_route_serves_local_paths(self, site: Site, path: str) -> None:
        assert site.ask(f"/gradio_api/file={path}").status == 200

    @pytest.mark.parametrize(
        "path",
        ["/config", "/logout", "/audit/images/1/pixels", "/gradio_api/queue/join",
         "/gradio_api/queue/data", "/gradio_api/run/predict", "/gradio_api/cancel",
         "/gradio_api/reset", "/gradio_api/heartbeat/s", "/gradio_api/file=/x.csv"],
    )  # fmt: skip
    def test_with_accounts_these_paths_need_a_session(self, members: Site, path: str) -> None:
        assert members.ask(path).status == 401
        assert members.ask(path, headers=[("cookie", COOKIE.replace("t1", "no"))]).status == 401
        assert members.inner.scopes == []
        assert members.ask(path, headers=[("cookie", COOKIE)]).status == 200

    @pytest.mark.parametrize("path", ["/", "/assets/a.js", "/static/b.woff2", "/theme.css"])
    def test_the_sign_in_page_needs_none(self, members: Site, path: str) -> None:
        assert members.ask(path).status == 200


class TestBodies:
    def test_an_announced_body_over_the_limit_is_refused_unread(self) -> None:
        site = Site(settings=Settings(max_body_bytes=10))
        headers = [("content-length", "11")]
        assert site.ask("/audit/x", "POST", headers=headers, body=(b"x" * 11,)).status == 413
        assert site.inner.scopes == []

    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_a_chunked_body_is_counted_too_before_the_application_sees_any_of_it(
        self, method: str
    ) -> None:
        site = Site(settings=Settings(max_body_bytes=10))
        assert site.ask("/audit/x", method, body=(b"x" * 5, b"x" * 5)).status == 200
        assert site.inner.bodies == [b"x" * 10]
        assert site.ask("/audit/x", method, body=(b"x" * 5, b"x" * 6)).status == 413
        assert len(site.inner.scopes) == 1

    @pytest.mark.parametrize("length", ["-1", "x", "1e3", "\u00b2"])
    def test_a_length_that_is_no_number_is_refused(self, site: Site, length: str) -> None:
        length = length.encode().decode("latin-1")
        assert site.ask("/audit/x", "POST", headers=[("content-length", length)]).status == 400

    def test_a_sign_in_form_over_4_kib_is_refused(self, members: Site) -> None:
        assert members.ask("/login", "POST", body=(b"x" * 4097,)).status == 413


def event(number: int) -> tuple[bytes, ...]:
    return (json.dumps({"fn_index": number, "data": [], "session_hash": "page"}).encode(),)


class TestSessions:
    def is_in(self, members: Site) -> bool:
        return members.ask("/gradio_api/queue/data", headers=[("cookie", COOKIE)]).status == 200

    def test_a_session_ends_after_the_idle_time(self, members: Site) -> None:
        assert self.is_in(members)
        members.clock.now += 100
        assert self.is_in(members)
        members.clock.now += 1
        assert not self.is_in(members)
        assert members.app.tokens == {}

    def test_what_a_person_does_keeps_the_session(self, members: Site) -> None:
        assert self.is_in(members)
        for path, body in (("/gradio_api/queue/join", event(SAVE_EVENT)), ("/audit/x", (b"{}",))):
            members.clock.now += 90
            assert members.ask(path, "POST", headers=[("cookie", COOKIE)], body=body).status == 200
        members.clock.now += 90
        assert self.is_in(members)
        assert members.inner.bodies[1] == event(SAVE_EVENT)[0]

    @pytest.mark.parametrize(
        ("path", "method", "body"),
        [
            ("/gradio_api/queue/join", "POST", event(TIMER_EVENT)),
            ("/gradio_api/run/predict", "POST", event(TIMER_EVENT)),
            ("/gradio_api/queue/data", "GET", (b"",)),
            ("/gradio_api/heartbeat/s", "GET", (b"",)),
            ("/assets/a.js", "GET", (b"",)),
        ],
    )
    def test_what_the_page_does_by_itself_does_not(
        self, members: Site, path: str, method: str, body: tuple[bytes, ...]
    ) -> None:
        assert self.is_in(members)
        members.clock.now += 60
        answer = members.ask(path, method, headers=[("cookie", COOKIE)], body=body)
        assert answer.status == 200
        members.clock.now += 60
        assert not self.is_in(members)

    def test_a_session_ends_after_the_absolute_time_however_busy(self, members: Site) -> None:
        for _ in range(21):
            assert members.ask("/audit/x", headers=[("cookie", COOKIE)]).status == 200
            members.clock.now += 50
        assert members.ask("/audit/x", headers=[("cookie", COOKIE)]).status == 401

    def test_the_time_of_a_session_begins_with_the_sign_in(self, members: Site) -> None:
        members.sign_in()
        members.clock.now += 101
        assert not self.is_in(members)


class TestSignIn:
    def wrong(self, members: Site, **who: Any) -> Answer:
        members.inner.status = 400
        return members.sign_in(**who)

    def test_the_sixth_wrong_password_has_to_wait(self, members: Site) -> None:
        assert [self.wrong(members).status for _ in range(6)] == [400] * 5 + [429]
        answer = self.wrong(members)
        assert answer.header("retry-after") == "3"
        assert len(members.inner.scopes) == 5

    def test_the_form_reaches_the_application_whole(self, members: Site) -> None:
        members.sign_in()
        assert members.inner.bodies == [b"username=anna&password=guess"]

    def test_a_stranger_does_not_lock_out_the_owner_of_the_name(self, members: Site) -> None:
        for _ in range(50):
            self.wrong(members, client="6.6.6.6")
            members.clock.now += 1
        assert self.wrong(members, client="6.6.6.6").status == 429
        assert self.wrong(members, client="10.0.0.1").status == 400
        assert self.wrong(members, client="6.6.6.6", name="berta").status == 400

    def test_after_the_wait_one_attempt_is_free_and_the_next_wait_is_longer(
        self, members: Site
    ) -> None:
        for _ in range(5):
            self.wrong(members)
        members.clock.now += 2
        assert self.wrong(members).status == 400
        members.clock.now += 3.9
        assert self.wrong(members).status == 429
        members.clock.now += 0.2
        assert self.wrong(members).status == 400

    def test_the_right_password_clears_the_count(self, members: Site) -> None:
        for _ in range(4):
            self.wrong(members)
        members.inner.status = 200
        assert members.sign_in().status == 200
        assert [self.wrong(members).status for _ in range(5)] == [400] * 5

    def test_many_attempts_at_once_gain_nothing(self, members: Site) -> None:
        members.inner.status = 400
        headers = [("content-type", "application/x-www-form-urlencoded")]

        async def at_once() -> list[int]:
            attempts = [
                members.answer(
                    "/login", "POST", headers=headers, body=(b"username=anna&password=x",)
                )
                for _ in range(20)
            ]
            return [answer.status for answer in await asyncio.gather(*attempts)]

        assert sorted(asyncio.run(at_once())) == [400] * 5 + [429] * 15

    def test_the_multipart_form_of_the_page_is_understood(self, members: Site) -> None:
        members.inner.status = 400
        part = '--B\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
        headers = [("content-type", "multipart/form-data; boundary=B")]
        statuses = []
        for blanks in ("", " ", "  ", "   ", "    ", "     "):
            form = (
                part.format("username", f"anna{blanks}")
                + part.format("password", "x")
                + "--B--\r\n"
            )
            body = (form.encode(),)
            statuses.append(members.ask("/login", "POST", headers=headers, body=body).status)
        assert statuses == [400] * 5 + [429]

    def test_waits_double_and_end_at_five_minutes(self) -> None:
        assert [wait_after(n) for n in (0, 4, 5, 6, 7, 12, 13, 500)] == [
            0,
            0,
            2,
            4,
            8,
            256,
            300,
            300,
        ]


class TestAnswers:
    @pytest.mark.parametrize(("path", "status"), [("/", 200), ("/docs", 404)])
    def test_every_answer_carries_the_security_headers(
        self, site: Site, path: str, status: int
    ) -> None:
        answer = site.ask(path)
        assert answer.status == status
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("x-frame-options") == "DENY"
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("cache-control") == "no-store"
        policy = answer.header("content-security-policy") or ""
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert "*" not in policy

    def test_only_static_files_may_be_kept(self, site: Site) -> None:
        site.inner.headers = [("Cache-Control", "public, max-age=9")]
        assert site.ask("/assets/a.js").header("cache-control") == "public, max-age=9"
        assert site.ask("/audit/images/1/pixels").header("cache-control") == "no-store"
        assert site.ask("/gradio_api/file=/x.png").header("cache-control") == "no-store"

    def test_no_answer_invites_other_origins(self, site: Site) -> None:
        site.inner.headers = [
            ("Access-Control-Allow-Origin", "http://evil.example"),
            ("access-control-allow-credentials", "true"),
        ]
        names = [name.lower() for name, _ in site.ask().headers]
        assert not any(name.startswith("access-control") for name in names)

    GRADIOS_COOKIES = (
        ("set-cookie", "access-token-ID=t; HttpOnly; Path=/; SameSite=none; Secure"),
        ("set-cookie", "access-token-unsecure-ID=t; HttpOnly; Path=/; SameSite=lax"),
    )

    def test_over_http_only_the_plain_cookie_is_set_and_strict(self, site: Site) -> None:
        site.inner.headers = self.GRADIOS_COOKIES
        assert site.ask().cookies == [
            "access-token-unsecure-ID=t; HttpOnly; Path=/; SameSite=Strict"
        ]

    def test_over_https_only_the_secure_cookie_is_set_and_strict(self, site: Site) -> None:
        site.inner.headers = self.GRADIOS_COOKIES
        site.policy.share(f"https://{SHARED}")
        assert site.ask(host=SHARED).cookies == [
            "access-token-ID=t; HttpOnly; Path=/; Secure; SameSite=Strict"
        ]

    def test_a_sign_out_deletes_both_cookies(self, site: Site) -> None:
        site.inner.headers = [
            ("set-cookie", 'access-token-ID=""; Max-Age=0; Path=/; SameSite=lax'),
            ("set-cookie", 'access-token-unsecure-ID=""; Max-Age=0; Path=/; SameSite=lax'),
        ]
        assert len(site.ask("/logout").cookies) == 2

    def test_forwarding_headers_do_not_reach_the_application(self, site: Site) -> None:
        site.policy.share(f"https://{SHARED}")
        headers = [
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "ftp"),
            ("forwarded", "host=evil.example"),
            ("x-gradio-server", "http://evil.example"),
        ]
        site.ask(host=SHARED, headers=headers)
        site.ask(headers=headers)
        shared, own = [dict(scope["headers"]) for scope in site.inner.scopes]
        assert shared == {b"host": SHARED.encode(), b"x-forwarded-proto": b"https"}
        assert own == {b"host": OWN.encode(), b"x-forwarded-proto": b"http"}
        assert [scope["scheme"] for scope in site.inner.scopes] == ["https", "http"]

    def test_an_error_becomes_a_sentence_and_its_text_goes_nowhere(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.inner.error = ValueError("patient Smith")
        with caplog.at_level(logging.ERROR):
            answer = site.ask("/audit/x")
        assert answer.status == 500
        assert b"see the log" in answer.body
        assert b"Smith" not in answer.body
        assert "ValueError at " in caplog.text
        assert "test_guard.py" in caplog.text
        assert "Smith" not in caplog.text

    def test_websockets_are_closed(self, site: Site) -> None:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        asyncio.run(site.guard({"type": "websocket", "path": "/", "headers": []}, receive, send))
        assert sent == [{"type": "websocket.close", "code": 1008}]
        assert site.inner.scopes == []


@pytest.mark.parametrize(
    ("body", "number"),
    [(b'{"fn_index": 3}', 3), (b"{}", None), (b"[1]", None), (b"\xff", None), (b"", None),
     (b'{"fn_index": "3"}', None), (b"[" * 100_000, None)],
)  # fmt: skip
def test_the_event_of_a_body_is_its_number_or_none(body: bytes, number: int | None) -> None:
    assert call_in({"path": "/gradio_api/run/predict"}, body).event == number


def test_a_failure_is_described_by_type_and_place_only() -> None:
    try:
        {}["patient Smith"]
    except KeyError as error:
        described = where_it_failed(error)
    assert described.startswith("KeyError at ")
    assert "test_guard.py:" in described
    assert "Smith" not in described
