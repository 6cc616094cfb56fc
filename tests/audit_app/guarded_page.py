"""A small page with one of everything that the product uses, served as the product is."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import gradio as gr

from audit_app.errors import AuditError
from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.session import Visitor

PRIVATE = {"api_visibility": "private"}
SECRET_LABEL = "Chest radiograph of the day"
OWN_SCRIPT = "element.querySelector('#own').textContent = 'the script ran';"


def build_demo(services: Services) -> gr.Blocks:
    """Button, table, file, download, own HTML with a script, timer."""
    with gr.Blocks(title="guarded", analytics_enabled=False) as demo:
        greeting = gr.Markdown(elem_id="greeting")
        table = gr.Dataframe(headers=["study", "status"], interactive=False, elem_id="table")
        text = gr.Textbox(label=SECRET_LABEL, elem_id="text")
        result = gr.Textbox(label="result", elem_id="result")
        save = gr.Button("Save", elem_id="save")
        administer = gr.Button("Administer", elem_id="administer")
        fail = gr.Button("Fail", elem_id="fail")
        ticks = gr.Textbox(label="ticks", elem_id="ticks")
        export = gr.Button("Export", elem_id="export")
        file = gr.DownloadButton("file", visible="hidden", elem_id="file")
        given = gr.File()  # as no page of the product has one: nothing can be uploaded
        gr.HTML("<p id='own'>before</p>", js_on_load=OWN_SCRIPT)
        timer = gr.Timer(0.5)
        seen = []

        @handler(services)
        def load(visitor: Visitor) -> tuple[str, list[list[str]]]:
            return f"hello {visitor.name}", [["CXR-1", "new"]]

        @handler(services)
        def upper(words: str) -> str:
            return words.upper()

        @handler(services, "admin")
        def run_admin() -> str:
            return "administered"

        @handler(services)
        def break_off() -> None:
            raise AuditError("no such finding: <img src=x onerror='window.harmed = true'>")

        @handler(services)
        def tick() -> str:
            seen.append(1)
            return str(len(seen))

        @handler(services)
        def write() -> str:
            folder = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
            with tempfile.NamedTemporaryFile(dir=folder, suffix=".csv", delete=False) as out:
                out.write(b"finding,hit\nMass,1\n")
            return out.name

        @handler(services)
        def name_of(path: str | None) -> str:
            return Path(path or "none").name

        demo.load(load, None, [greeting, table], **PRIVATE)
        save.click(upper, text, result, **PRIVATE)
        administer.click(run_admin, None, result, **PRIVATE)
        fail.click(break_off, None, result, **PRIVATE)
        timer.tick(tick, None, ticks, queue=False, show_progress="hidden", **PRIVATE)
        export.click(write, None, file, **PRIVATE).then(
            None, js="() => document.querySelector('#file').click()", **PRIVATE
        )
        given.upload(name_of, given, result, **PRIVATE)
    return demo


def event_number(demo: gr.Blocks, name: str) -> int:
    """The id of the event whose function has this name."""
    return next(number for number, event in demo.fns.items() if event.name == name)
