"""The page as it is built: private events, guarded handlers, no model library on the way."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.accounts import add_account
from audit_app.app import build_page
from audit_app.banner import banner_html, banner_value
from audit_app.errors import AuditError
from audit_app.handlers import OWN_PARAMETER
from audit_app.services import Services
from audit_app.session import Visitor
from audit_app.settings import Settings
from audit_app.tabs.data_forms import import_params, model_params, training_params


@pytest.fixture
def services(tmp_path: Path):
    workspace = create_workspace(tmp_path / "w", name="ward 7", synthetic=True)
    with Store.open(workspace) as store:
        yield Services(workspace, store, Settings())


def test_the_way_to_the_page_is_short_no_model_library_and_no_interface_files(
    repo_root: Path,
) -> None:
    code = (
        "import sys; import audit_app.app; import gradio.component_meta as meta; "
        "print(sorted({'torch', 'open_clip', 'timm', 'transformers', 'pytorch_grad_cam'}"
        " & set(sys.modules)), meta.create_or_modify_pyi.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] audit_app.fast_start"


def test_every_event_is_private_and_nothing_of_the_workspace_stands_in_it(services) -> None:
    page = build_page(services)
    assert {event.api_visibility for event in page.demo.fns.values()} == {"private"}
    assert "ward 7" not in str(page.demo.get_config_file())


def test_every_handler_asks_who_is_there_first(services) -> None:
    add_account(services.store, "mira", "reader", "a long enough password")
    page = build_page(services)
    functions = [event.fn for event in page.demo.fns.values() if event.fn is not None]
    assert len(functions) > 15
    for function in functions:
        with pytest.raises(gr.Error, match="from the page"):
            function(None)


def test_every_handler_takes_the_request_that_says_who_is_there(services) -> None:
    page = build_page(services)
    for event in page.demo.fns.values():
        if event.fn is not None:
            assert next(iter(inspect.signature(event.fn).parameters)) == OWN_PARAMETER


def test_the_banner_names_workspace_reader_and_what_it_is_not_for(services) -> None:
    text = str(banner_value(services, Visitor("mira", "reader")))
    for part in ("ward 7", "mira (reader)", "Synthetic", "Not for clinical use"):
        assert part in text


def test_the_banner_tells_of_an_open_link_and_who_is_connected_until_it_is_closed(
    services,
) -> None:
    presence = services.presence
    presence.link_opened("https://abc.gradio.live", 3600)
    presence.saw("<b>mira</b>", through_link=True)
    presence.saw("omar", through_link=False)
    shown = banner_html(banner_value(services, Visitor("omar", "reader")))
    assert "open to the internet through a share link" in shown
    assert "Connected: &lt;b&gt;mira&lt;/b&gt; (through the link), omar." in shown
    presence.link_closed()
    assert "share link" not in banner_html(banner_value(services, Visitor("omar", "reader")))


def test_forms_with_gaps_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="type where the pictures are"):
        import_params(" ", "folder", "x", False)
    with pytest.raises(AuditError, match="check the place"):
        import_params(str(tmp_path / "nothing"), "folder", "x", False)
    with pytest.raises(AuditError, match="choose a preset or type a name"):
        model_params(None, "", "", "", "")
    with pytest.raises(AuditError, match="no checkpoint was given"):
        model_params("cnn", "", "timm:resnet18", "Edema", "")
    with pytest.raises(AuditError, match="add one first"):
        training_params(None, None, "lp", "study", "auto")
    assert import_params(str(tmp_path), "nih", " mira ", True) == {
        "source": str(tmp_path),
        "kind": "nih",
        "reader": "mira",
        "copy": True,
    }
