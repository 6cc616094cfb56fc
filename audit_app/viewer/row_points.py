"""What opens the case of a point in the audit's plots, as a Gradio component."""

from __future__ import annotations

from typing import Any

from audit_app.viewer.component import ScriptPanel


class RowPoints(ScriptPanel):
    """Listens to all plots of a place; its value is ``{"place": element id}`` or None.

    The data of a point are the number of its row in the run, from 1. Event: ``open`` (row).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            script="row_points.js",
            script_class="RowPoints",
            events=("open",),
            label="Case of a point",
            padding=False,
            **options,
        )
