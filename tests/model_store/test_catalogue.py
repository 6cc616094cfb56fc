from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from model_store import files
from model_store.catalogue import make_entry
from model_store.entries import ModelEntry
from model_store.errors import InvalidEntry, MissingFile, WrongWeights
from model_store.loading import load_model


@pytest.fixture
def folder(vit_folder: Path, tmp_path: Path) -> Path:
    """A model folder that a test may change."""
    return Path(shutil.copytree(vit_folder, tmp_path / "model"))


def sha256sum(path: Path) -> str:
    done = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_an_entry_of_a_folder_records_what_its_files_are(vit_folder: Path) -> None:
    entry = make_entry("mine", path=vit_folder)

    assert entry.location == f"local-dir:{vit_folder}"
    assert entry.weights_sha256 == sha256sum(vit_folder / "open_clip_model.safetensors")
    names = ["config.json", "open_clip_config.json", "tokenizer.json", "tokenizer_config.json"]
    listed = "".join(f"{name}  {sha256sum(vit_folder / name)}\n" for name in names)
    assert entry.config_sha256 == hashlib.sha256(listed.encode()).hexdigest()
    assert (entry.prompts.template, entry.prompts.lower) == ("a photo of {finding}", True)
    assert entry.added_at
    assert "torch" in entry.versions
    assert ModelEntry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


def test_given_settings_go_before_those_of_the_folder(vit_folder: Path) -> None:
    entry = make_entry(
        "mine",
        path=vit_folder,
        settings={"preprocessing": "squash", "prompt_template": "{finding}"},
    )
    assert (entry.preprocessing, entry.prompts.template) == ("squash", "{finding}")
    assert entry.prompts.lower


def test_the_resizing_of_the_configuration_decides_the_preprocessing(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["preprocess_cfg"]["resize_mode"] = "longest"
    path.write_text(json.dumps(config))
    assert make_entry("mine", path=folder).preprocessing == "pad"


def test_a_local_copy_of_a_preset_must_hold_the_published_weights(folder: Path) -> None:
    with pytest.raises(WrongWeights, match="the published weights of 'biomedclip'"):
        make_entry("biomedclip", preset="biomedclip", path=folder)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "model 'mine' has no place; give a preset"),
        ({"preset": "gpt"}, "unknown preset 'gpt'; known: biomedclip, demo-vit, demo-cnn"),
        ({"location": "local-dir:/a", "path": Path("/b")}, "give one of them"),
        ({"location": "hf-hub:a/b"}, "no folder for models was given"),
        ({"location": "ftp://a"}, "has the location 'ftp://a'"),
    ],
)
def test_arguments_that_make_no_entry_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEntry, match=words):
        make_entry("mine", **arguments)


def test_unknown_settings_are_named_with_their_place(folder: Path) -> None:
    with pytest.raises(InvalidEntry, match="settings has the unknown keys colour; known: prep"):
        make_entry("mine", path=folder, settings={"colour": "red"})
    (folder / "entry.json").write_text('{"template": "x"}')
    with pytest.raises(InvalidEntry, match=r"entry\.json has the unknown keys template"):
        make_entry("mine", path=folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"model_cfg": {}}'])
def test_a_configuration_that_is_none_is_named(folder: Path, content: str) -> None:
    (folder / "open_clip_config.json").write_text(content)
    with pytest.raises(InvalidEntry, match=r"open_clip_config\.json"):
        make_entry("mine", path=folder)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"model folder .*/nowhere does not exist"):
        make_entry("mine", path=tmp_path / "nowhere")


def test_a_hub_that_cannot_be_reached_says_which_file_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    with pytest.raises(MissingFile) as caught:
        make_entry("biomedclip", preset="biomedclip", models_dir=tmp_path / "models")

    message = str(caught.value)
    assert message.startswith(
        "open_clip_config.json of microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224 "
        "could not be fetched"
    )
    assert f"put it into {tmp_path / 'models' / 'biomedclip'}" in message


class TinyHub(BaseHTTPRequestHandler):
    """Answers as the hub does, for the files of one folder per repository."""

    repositories: ClassVar[dict[str, Path]] = {}

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""

    def _answer(self, *, with_content: bool) -> None:
        found = re.fullmatch(r"/(.+/.+)/resolve/main/([^/]+)", self.path)
        assert found is not None, self.path
        file = self.repositories[found[1]] / found[2]
        content = file.read_bytes() if file.is_file() else b""
        self.send_response(200 if file.is_file() else 404)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        if file.is_file():
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if with_content:
            self.wfile.write(content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[TinyHub]]:
    import huggingface_hub.constants as constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), TinyHub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield TinyHub
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_hub_model_is_downloaded_with_its_text_tower_and_loads_offline_from_then_on(
    hub: type[TinyHub], vit_folder: Path, tmp_path: Path
) -> None:
    published = tmp_path / "published"
    tower = tmp_path / "tower"
    shutil.copytree(vit_folder, published)
    tower.mkdir()
    # As on the real hub: the text tower's configuration lies in the tower's own repository.
    (published / "config.json").rename(tower / "config.json")
    (published / "entry.json").unlink()
    hub.repositories = {"lab/clip": published, "nobody/a-text-tower-that-no-hub-has": tower}

    entry = make_entry("clip", location="hf-hub:lab/clip", models_dir=tmp_path / "models")

    folder = tmp_path / "models" / "clip"
    assert entry.location == f"local-dir:{folder}"
    assert entry.source == "hf-hub:lab/clip"
    assert entry.weights_sha256 == sha256sum(vit_folder / "open_clip_model.safetensors")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    hub.repositories = {}
    assert load_model(entry).weights_sha256 == entry.weights_sha256


def test_a_repository_without_weights_says_which_names_are_read(
    hub: type[TinyHub], vit_folder: Path, tmp_path: Path
) -> None:
    published = tmp_path / "published"
    shutil.copytree(vit_folder, published)
    (published / "open_clip_model.safetensors").unlink()
    hub.repositories = {"lab/clip": published, "nobody/a-text-tower-that-no-hub-has": published}
    with pytest.raises(MissingFile, match="lab/clip offers no weights under a name that is read"):
        make_entry("clip", location="hf-hub:lab/clip", models_dir=tmp_path / "models")


def test_a_hash_is_computed_again_only_for_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = files.file_sha256(path)
    path.write_bytes(b"another")
    assert first == hashlib.sha256(b"one").hexdigest()
    assert files.file_sha256(path) == hashlib.sha256(b"another").hexdigest()
