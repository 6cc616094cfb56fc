"""The page that the browser tests of the panels use: the Read tab and made-up maps."""

from __future__ import annotations

import base64
from typing import Any

import gradio as gr
import numpy as np

from audit_app.handlers import handler
from audit_app.services import Services
from audit_app.serving import Look
from audit_app.tabs.read import build_read_tab
from audit_app.viewer.compare import ComparePanel
from audit_app.viewer.state import case_meta

GRID = 14


def build_demo(services: Services) -> tuple[gr.Blocks, Look]:
    with gr.Blocks(title="reading panel", fill_width=True, analytics_enabled=False) as demo:
        with gr.Tabs() as tabs:
            with gr.Tab("Read", id="read"):
                read = build_read_tab(services)
            with gr.Tab("Compare", id="compare"):
                compare = ComparePanel(elem_id="compare-panel")

        @handler(services)
        def show_comparison(event: gr.EventData) -> list[Any]:
            case_id = event._data["case_id"]
            return [gr.Tabs(selected="compare"), comparison_value(services, case_id)]

        read.panel.compare(
            show_comparison,
            None,
            [tabs, compare],
            api_visibility="private",
            show_progress="hidden",
        )
    return demo, Look(js="() => document.body.classList.add('dark')")


def comparison_value(services: Services, case_id: str) -> dict[str, Any]:
    """Three panes: a map over the whole picture, one over a crop, an empty one."""
    meta = case_meta(services, case_id)
    width, height = meta["width"], meta["height"]
    crop = [width * 0.1, 0.0, width * 0.9, float(height)]
    panes = [
        pane("Zero-shot", bump(4, 5), [0.0, 0.0, float(width), float(height)]),
        pane("Linear probe", bump(9, 9), crop),
        pane("Fine-tune", np.zeros((GRID, GRID)), crop),
    ]
    return {
        "case_id": case_id,
        "view": "modes",
        "serial": 0,
        "is_waiting": False,
        "reader": "a reader",
        "finding": "Fracture",
        "meta": meta,
        "regions": [{"box": [width // 4, height // 4, width // 2, height // 2]}],
        "look": {"layer": "auto"},
        "options": {"views": [], "models": [], "model": "m", "method": "gradcam", "methods": []},
        "content": {"layer": "", "panes": panes},
    }


def bump(row: float, column: float) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[0:GRID, 0:GRID]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)


def pane(title: str, values: np.ndarray[Any, Any], box: list[float]) -> dict[str, Any]:
    is_empty = values.max() <= values.min()
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    left, top, right, bottom = box
    peak = [
        left + (column + 0.5) * (right - left) / GRID,
        top + (row + 0.5) * (bottom - top) / GRID,
    ]
    scaled = np.zeros_like(values) if is_empty else (values - values.min()) / np.ptp(values)
    return {
        "title": title,
        "subtitle": "score 0.812",
        "heat": {
            "width": GRID,
            "height": GRID,
            "values_b64": base64.b64encode(np.rint(scaled * 255).astype(np.uint8)).decode(),
            "box": box,
            "peak": None if is_empty else [float(value) for value in peak],
            "status": "no_evidence" if is_empty else "ok",
            "threshold": 0.5,
        },
        "numbers": [["Hit", "1.000"], ["IoU", "0.412"], ["Energy in box", "0.388"]],
        "caption": [],
        "is_waiting": False,
    }
