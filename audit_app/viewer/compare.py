"""The comparison as a Gradio component: maps beside each other over one radiograph."""

from __future__ import annotations

from typing import Any

from audit_app.viewer.component import ScriptPanel


class ComparePanel(ScriptPanel):
    """Synchronised pictures; its value is ``comparison.views.view(...).value`` or None.

    ``content`` depends on the view. Each pane in it is ``{title, subtitle, heat, numbers,
    caption, is_waiting}`` with ``numbers`` as [name, text] pairs and ``heat`` as None (then
    the subtitle says why) or ``{width, height, values_b64, box, peak, status, threshold}``:
    the map as bytes 0..255, the place of its grid in original pixels, that of its maximum.

    Events (their data by ``gr.EventData``): ``choose`` (any of view, mode, layer, left, right,
    finding, method, and serial) and ``refresh`` (stamp: what the page has seen), which the
    page sends while it waits for maps.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            script="compare_panel.js",
            script_class="ComparePanel",
            events=("choose", "refresh"),
            label="Comparison",
            padding=False,
            **options,
        )
