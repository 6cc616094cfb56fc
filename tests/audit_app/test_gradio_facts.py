"""What the installed Gradio does that this page is built around; a new version must be tried anew.

Facts about serving, sign-in, sharing and the guard are in ``test_serving.py`` and ``test_guard*``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

import gradio as gr
import httpx
import pytest
from playwright.sync_api import Browser, expect

import audit_app
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.app import build_page
from audit_app.comparison import Look
from audit_app.services import Services
from audit_app.settings import Settings

TYPED: Final = "<img src=x onerror=strike()>${strike()}"
DROP: Final = """selector => {
  const files = new DataTransfer();
  files.items.add(new File(["word\\nof the file\\n"], "words.csv", { type: "text/csv" }));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.querySelector(selector).dispatchEvent(
      new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true })
    );
}"""
HOST: Final = "<div class='sa-host'></div>"


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[gr.blocks.Block]]:
    """Every component of our page."""
    workspace = create_workspace(tmp_path_factory.mktemp("facts") / "w", name="w")
    with Store.open(workspace) as store:
        yield list(build_page(Services(workspace, store, Settings())).demo.blocks.values())


def of_type(blocks: list[gr.blocks.Block], kind: type) -> list[Any]:
    return [block for block in blocks if isinstance(block, kind)]


class TestOurPage:
    def test_no_text_of_a_user_goes_through_a_template(self, blocks: list[gr.blocks.Block]) -> None:
        pages = of_type(blocks, gr.HTML)
        assert len(pages) > 10
        assert {block.html_template for block in pages} == {"${value}", HOST}

    def test_no_cell_is_read_as_html(self, blocks: list[gr.blocks.Block]) -> None:
        tables = of_type(blocks, gr.Dataframe)
        assert len(tables) > 5
        types = {
            kind
            for table in tables
            for kind in ([table.datatype] if isinstance(table.datatype, str) else table.datatype)
        }
        assert types <= {"str", "number"}

    def test_pictures_and_files_go_through_our_routes(self, blocks: list[gr.blocks.Block]) -> None:
        for kind in (gr.Image, gr.Gallery, gr.DownloadButton, gr.File):
            assert of_type(blocks, kind) == []

    def test_nothing_on_the_page_uploads(self, blocks: list[gr.blocks.Block]) -> None:
        """The route is closed; a new kind of component has to be looked at for whether it does."""
        known = {"Accordion", "Button", "Checkbox", "CheckboxGroup", "Column", "Dataframe",
                 "Dropdown", "Form", "Group", "HTML", "Markdown", "Number", "Plot", "Radio", "Row",
                 "State", "Tab", "Tabs", "Textbox", "Timer"}  # fmt: skip
        kinds = {type(block).__name__ for block in blocks if not isinstance(block, gr.HTML)}
        assert kinds <= known
        scripts = Path(audit_app.__file__).parent.rglob("*.js")
        assert not [script.name for script in scripts if "upload" in script.read_text()]

    def test_what_the_client_could_forge_holds_no_authority(
        self, blocks: list[gr.blocks.Block]
    ) -> None:
        states = of_type(blocks, gr.State)
        assert states
        assert all(isinstance(state.value, bool | Look | None) for state in states)


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """A page without our guard: what Gradio does by itself."""
    with gr.Blocks() as demo:
        kept = gr.State("nothing")
        given, told = gr.Textbox(elem_id="given"), gr.Textbox(elem_id="told")
        template = gr.HTML(html_template="<p>{{value}}</p>", elem_id="template")
        default = gr.HTML(elem_id="default")
        table = gr.Dataframe(headers=["cell"], datatype="str", elem_id="table")
        gr.Dataframe(headers=["word"], datatype="str", interactive=True, elem_id="typed")
        keep = gr.Button("Keep")
        show = gr.Button("Show")
        keep.click(lambda text: (text, text), given, [kept, told], api_visibility="private")
        keep.click(lambda state: state, kept, told, api_visibility="private")
        show.click(
            lambda text: (text, f"<p>{escape(text)}</p>", [[text]]),
            given,
            [template, default, table],
            api_visibility="private",
        )
    demo.launch(prevent_thread_lock=True, quiet=True, run_history=False)
    yield demo.local_url
    demo.close()


def call(url: str, number: int, data: list[object], session: str) -> list[Any]:
    """One event, past the page."""
    body = {"data": data, "fn_index": number, "session_hash": session}
    with httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("gradio_api/queue/join", json=body).status_code == 200
        path = f"gradio_api/queue/data?session_hash={session}"
        with client.stream("GET", path) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("msg") == "process_completed":
                    return list(message["output"]["data"])
    raise AssertionError("the event never completed")


class TestGradioItself:
    def test_state_belongs_to_whoever_names_the_session(self, plain: str) -> None:
        call(plain, 0, ["of anna", None], "chosen-by-the-client")
        assert call(plain, 1, [None], "chosen-by-the-client") == ["of anna"]
        assert call(plain, 1, [None], "another") == ["nothing"]

    def test_the_sign_in_page_tells_of_public_events_and_not_of_private_ones(self) -> None:
        with gr.Blocks() as demo:
            told = gr.Dropdown(["Public Choice"], label="Public Label")
            told.change(str, told, None, api_name="public_name")
            kept = gr.Dropdown(["Private Choice"], label="Private Label")
            kept.change(str, kept, None, api_visibility="private", api_name="private_name")
            gr.Textbox(lambda: "x", label="Filled Label")  # which Gradio makes a public event of
        demo.launch(auth=("a", "b"), prevent_thread_lock=True, quiet=True)
        try:
            page = httpx.get(demo.local_url).text
        finally:
            demo.close()
        assert "auth_required" in page
        for word in ("Public Choice", "Public Label", "public_name", "Filled Label"):
            assert word in page
        for word in ("Private Choice", "Private Label", "private_name"):
            assert word not in page

    def test_under_another_name_every_origin_is_welcome_with_its_cookies(self, plain: str) -> None:
        headers = {"Host": "rebound.example", "Origin": "http://evil.example"}
        answer = httpx.get(f"{plain}config", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "http://evil.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "content-security-policy" not in answer.headers

    def test_a_picture_loses_detail_unless_told_otherwise(self) -> None:
        assert gr.Image(render=False).format == "webp"

    def test_a_private_event_runs_for_everybody(self, plain: str) -> None:
        assert call(plain, 0, ["anybody"], "a-stranger")[-1] == "anybody"
        info = httpx.get(f"{plain}gradio_api/info").json()
        assert info["named_endpoints"] == {}

    @pytest.mark.browser
    def test_a_template_runs_what_came_with_its_value_and_escaped_html_does_not(
        self, plain: str, browser: Browser
    ) -> None:
        context = browser.new_context()
        context.add_init_script(
            "window.strike = () => { window.struck = (window.struck ?? 0) + 1 }"
        )
        page = context.new_page()
        page.goto(plain)
        page.locator("#given textarea").fill(TYPED)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#default p")).to_have_text(TYPED)
        expect(page.locator("#table")).to_contain_text(TYPED)
        page.wait_for_function("() => window.struck")  # by the template, whose braces look safe
        assert page.locator("img[src=x]").count() == 0
        context.close()

    @pytest.mark.browser
    def test_a_file_dropped_on_a_table_stays_in_the_browser(
        self, plain: str, browser: Browser
    ) -> None:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(plain)
        page.locator("#typed table").first.wait_for()
        page.evaluate(DROP, "#typed table")
        expect(page.locator("#typed")).to_contain_text("of the file")
        assert not [url for url in asked if "upload" in url]
        page.close()
