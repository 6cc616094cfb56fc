"""The reading panel as a Gradio component."""

from __future__ import annotations

from typing import Any

from audit_app.viewer.component import ScriptPanel


class ReadingPanel(ScriptPanel):
    """One radiograph with the visitor's boxes; its value is ``state.case_value`` or None.

    Events (their data by ``gr.EventData``): ``step`` (case_id, step: the next or previous
    case is asked for), ``changed`` (case_id: committed or reopened), ``compare`` (case_id).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            script="reading_panel.js",
            script_class="ReadingPanel",
            events=("step", "changed", "compare"),
            label="Reading panel",
            **options,
        )


class WorklistPanel(ScriptPanel):
    """The page of the worklist that is shown; its value is ``state.worklist_value`` or None.

    Events: ``choose`` (case_id, and resume when the page asks by itself), ``turn`` (page).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            script="worklist.js",
            script_class="Worklist",
            events=("choose", "turn"),
            label="Worklist",
            **options,
        )
