"""The card that shows the picture under the pointer, as a Gradio component."""

from __future__ import annotations

from typing import Any

from audit_app.viewer.component import ScriptPanel


class ExplorerCard(ScriptPanel):
    """Listens to a plot of points; its value is ``{"plot": element id}`` or None.

    The data of a point are [image id, labels, predictions]. Event: ``open`` (case_id).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            script="explorer_card.js",
            script_class="ExplorerCard",
            events=("open",),
            label="Picture of a point",
            padding=False,
            **options,
        )
