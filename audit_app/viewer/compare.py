"""The comparison as a Gradio component: several maps beside each other over one radiograph."""

from __future__ import annotations

from typing import Any

from audit_app.viewer.component import ScriptPanel, without_stub_file

with without_stub_file():

    class ComparePanel(ScriptPanel):
        """Synchronised panes; its value is None or holds case_id, finding, meta, regions, panes.

        ``meta`` is ``state.case_meta``, ``regions`` a list of ``state.region_value``. Each pane is
        ``{title, subtitle, heat, numbers}`` with ``numbers`` as [name, text] pairs and ``heat`` as
        None (then the subtitle says why) or ``{width, height, values_b64, box, peak, status,
        threshold}``: the map as bytes 0..255, the place of its grid in original pixels (it may
        reach beyond the picture), the place of its maximum.
        """

        def __init__(self, **options: Any) -> None:
            super().__init__(
                script="compare_panel.js",
                script_class="ComparePanel",
                label="Comparison",
                **options,
            )
