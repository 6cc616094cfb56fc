"""The adjudication as a Gradio component: two readings side by side, and what comes of them."""

from __future__ import annotations

from typing import Any

from audit_app.viewer.component import ScriptPanel


class AdjudicationPanel(ScriptPanel):
    """Three synchronised pictures; its value is ``adjudication.case_value`` or None.

    Events (their data by ``gr.EventData``): ``changed`` (case_id: committed or reopened),
    ``step`` (case_id, step: the next or previous case is asked for).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            script="adjudicate_panel.js",
            script_class="AdjudicationPanel",
            events=("changed", "step"),
            label="Adjudication",
            padding=False,
            **options,
        )
