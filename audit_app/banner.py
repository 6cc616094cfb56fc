"""The line above the tabs: workspace, who reads, who is connected through an open share link."""

from __future__ import annotations

from html import escape
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from audit_app.handlers import handler
from audit_app.presence import Connected
from audit_app.services import Services
from audit_app.session import Visitor

PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
SHARED_REFRESH_S: Final = 10.0  # who is connected changes
REFRESH_S: Final = 60.0
SYNTHETIC: Final = "Synthetic pictures and a synthetic reader."
NOT_CLINICAL: Final = "A research tool. Not for clinical use."
SHARED: Final = (
    "This page is open to the internet through a share link. Whoever runs the share server can "
    "see everything that passes. Pseudonymised pictures only."
)
SIGN_OUT: Final = (
    '<span class="sign-out"><a href="/logout?all_session=false">Sign out</a> '
    '<a href="/logout">Sign out everywhere</a></span>'
)


def build_banner(services: Services, demo: gr.Blocks) -> Dependency:
    """The banner, filled when the page loads and refreshed from then on.

    Returns:
        The event of the load, for what must come after it.
    """
    banner = gr.HTML(elem_id="banner")

    @handler(services)
    def greet(visitor: Visitor) -> str:
        return banner_html(banner_value(services, visitor))

    loaded = demo.load(greet, None, banner, **PRIVATE)
    timer = gr.Timer(SHARED_REFRESH_S if services.settings.share else REFRESH_S)
    timer.tick(greet, None, banner, queue=False, **PRIVATE)
    return loaded


def banner_value(services: Services, visitor: Visitor) -> dict[str, Any]:
    """What the banner tells this visitor, as text."""
    facts, link = services.workspace.settings, services.presence.link
    remarks = [SYNTHETIC] if facts.synthetic else []
    return {
        "warnings": list(services.notices.all()),
        "workspace": facts.name,
        "visitor": f"{visitor.name} ({visitor.role})",
        "remarks": " ".join([*remarks, NOT_CLINICAL]),
        "may_sign_out": bool(services.store.accounts.all()),
        "shared": SHARED if link else "",
        "closes_at": f"{link.closes_at.astimezone():%H:%M (%Z), %d %b}" if link else "",
        "connected": describe_connected(services.presence.connected()) if link else "",
    }


def banner_html(value: dict[str, Any]) -> str:
    """The banner; every text of ``banner_value`` is escaped.

    Not by a template of Gradio's: after filling in ``{{value}}`` it runs what then stands in
    ``${...}``, also where that came with the value.
    """
    told = {name: escape(text) for name, text in value.items() if isinstance(text, str)}
    lines = [
        f'<p class="warning-line" role="alert"><strong>Warning.</strong> {escape(warning)}</p>'
        for warning in value["warnings"]
    ]
    if told["shared"]:
        lines.append(
            f'<div class="share-banner" role="status"><strong>{told["shared"]}</strong> '
            f"<span>Closes at {told['closes_at']}. Connected: {told['connected']}.</span></div>"
        )
    sign_out = SIGN_OUT if value["may_sign_out"] else ""
    lines.append(
        f'<div class="who-line"><span><h1>{told["workspace"]}</h1> | {told["visitor"]} | '
        f"{told['remarks']}</span>{sign_out}</div>"
    )
    return "".join(lines)


def describe_connected(connected: tuple[Connected, ...]) -> str:
    """The names of those who have the page open, and who of them came through the link."""
    through = {one.name for one in connected if one.through_link}
    names = dict.fromkeys(one.name for one in connected)
    return ", ".join(f"{name} (through the link)" if name in through else name for name in names)
