"""Links to the downloads of the committed readings; a part of the Data & models tab."""

from __future__ import annotations

from html import escape

import gradio as gr

from annotations.exports import EXPORTERS
from audit_app.reports.readings import PATH


def build_export_links() -> gr.HTML:
    """A list with one link per format."""
    gr.Markdown("## Export readings", elem_classes="group-title")
    items = "".join(
        f'<li><a href="{PATH.format(kind=kind)}" download>{escape(kind)}</a> '
        f"{escape(exporter.description)}</li>"
        for kind, exporter in EXPORTERS.items()
    )
    return gr.HTML(f"<ul>{items}</ul>", elem_id="export-links", elem_classes="group-text")
