from __future__ import annotations

import json
import random
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from model_store.checkpoints import load_head
from model_store.demo import train
from model_store.demo.captions import (
    NORMAL,
    Caption,
    build_vocabulary,
    caption_truth,
    write_caption,
)
from model_store.demo.phantom_style import DEMO_FINDINGS, DEMO_STYLE, TRAINING_STYLE
from model_store.demo.phantoms import DEMO_COUNT, DEMO_FIRST_SEED, render_phantom
from model_store.demo.pretraining import augment
from model_store.demo.train import (
    AUROC_TOLERANCE,
    CHECK_SEED,
    FULL_PLAN,
    HEADS_SEED,
    N_CHECK,
    PRETRAINING_SEED,
    app,
    compare_runs,
)
from model_store.demo.training_data import (
    label_row,
    render_set,
    shrink_picture,
    window_pixels,
)


def test_no_film_is_in_two_sets() -> None:
    pictures = max(each.n_pictures for each in FULL_PLAN.pretraining.values())
    sets = [
        range(DEMO_FIRST_SEED, DEMO_FIRST_SEED + DEMO_COUNT),
        range(PRETRAINING_SEED, PRETRAINING_SEED + pictures),
        range(HEADS_SEED, HEADS_SEED + FULL_PLAN.heads.n_pictures),
        range(CHECK_SEED, CHECK_SEED + N_CHECK),
    ]
    for index, first in enumerate(sets):
        for second in sets[index + 1 :]:
            assert first.stop <= second.start


def test_two_processes_render_the_same_set_as_one() -> None:
    options = {"style": TRAINING_STYLE, "size": (96, 96)}
    alone = render_set(50, 60, processes=1, **options)
    done: list[tuple[int, int]] = []
    shared = render_set(50, 60, processes=2, progress=lambda *at: done.append(at), **options)
    np.testing.assert_array_equal(alone.pictures, shared.pictures)
    np.testing.assert_array_equal(alone.labels, shared.labels)
    np.testing.assert_array_equal(alone.is_right, shared.is_right)
    assert done == [(50, 60), (60, 60)]


def test_targets_end_with_no_finding() -> None:
    data = render_set(0, 30, DEMO_STYLE, (96, 96), processes=1)
    assert data.targets.shape == (30, len(DEMO_FINDINGS) + 1)
    np.testing.assert_array_equal(data.targets[:, -1] == 1, data.labels.sum(axis=1) == 0)


def test_labels_and_sides_are_those_of_the_phantom() -> None:
    for seed in range(6):
        phantom = render_phantom(seed, size=(96, 96), findings=["Pneumothorax", "Fracture"])
        shown, right = label_row(phantom)
        assert [DEMO_FINDINGS[index] for index in np.flatnonzero(shown)] == [
            "Pneumothorax",
            "Fracture",
        ]
        assert right[DEMO_FINDINGS.index("Pneumothorax")] == (
            "right pneumothorax" in phantom.report
        )


def test_a_tall_picture_reaches_the_grid_as_through_open_clips_transform() -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    picture = window_pixels(render_phantom(3, size=(450, 384)).pixels)
    transform = image_transform_v2(
        PreprocessCfg(size=96, mean=(0.0,) * 3, std=(1.0,) * 3), is_train=False
    )
    expected = transform(Image.fromarray(picture)).numpy() * 255
    for channel in expected:
        np.testing.assert_allclose(shrink_picture(picture), channel, atol=0.01)


def test_the_display_picture_is_the_robust_window() -> None:
    pixels = np.arange(1000, dtype=np.uint16).reshape(25, 40) * 4
    shown = window_pixels(pixels)
    assert shown.dtype == np.uint8
    assert (shown.min(), shown.max()) == (0, 255)
    low, high = np.percentile(pixels, 0.5), np.percentile(pixels, 99.5)
    assert shown[12, 20] == round((float(pixels[12, 20]) - low) / (high - low) * 255)


def test_every_caption_is_true_of_its_own_film() -> None:
    dice = random.Random(1)
    rng = np.random.default_rng(1)
    n = len(DEMO_FINDINGS)
    labels, right = rng.random((300, n)) < 0.25, rng.random((300, n)) < 0.5
    for row in range(300):
        shown = [int(index) for index in np.flatnonzero(labels[row])]
        sides = {index: "right" if right[row, index] else "left" for index in shown}
        caption = write_caption(dice, shown, sides)
        assert caption_truth([caption], labels[row : row + 1], right[row : row + 1]).all()


def test_truth_of_captions_follows_presence_absence_and_side() -> None:
    labels = np.zeros((3, len(DEMO_FINDINGS)), dtype=bool)
    right = np.zeros_like(labels)
    labels[0, 4] = labels[1, 4] = True
    right[0, 4] = True
    captions = [
        Caption("a pneumothorax", ((4, ""),)),
        Caption("a pneumothorax on the right", ((4, "right"),)),
        Caption("no pneumothorax", (), (4,)),
        Caption(NORMAL[0], (), tuple(range(len(DEMO_FINDINGS)))),
    ]
    np.testing.assert_array_equal(
        caption_truth(captions, labels, right),
        [
            [True, True, False, False],
            [True, False, False, False],
            [False, False, True, True],
        ],
    )


def test_the_vocabulary_holds_no_token_twice() -> None:
    tokens = build_vocabulary()
    assert len(set(tokens)) == len(tokens)
    assert tokens[:4] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def test_augmentation_keeps_size_and_range_and_depends_on_the_seed_alone() -> None:
    pictures = render_set(0, 4, DEMO_STYLE, (96, 96), processes=1).pictures
    first, again, other = (augment(pictures, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1
    assert first.shape == pictures.shape
    assert abs(float(first.mean()) - float(pictures.mean())) < 25


@pytest.fixture(scope="module", autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quick")
    run_script("--quick", "--out", str(out))
    return out


def run_script(*arguments: str, expected: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == expected, result.output
    return result.output


def test_the_script_runs_as_a_program_and_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(train.__file__, run_name="__main__")
    said = capsys.readouterr().out
    for option in ("--out", "--quick", "--check", "--only", "--heads-only"):
        assert option in said


def test_a_quick_run_writes_both_models_and_their_figures(quick_run: Path) -> None:
    written = json.loads((quick_run / "figures.json").read_text(encoding="utf-8"))
    assert set(written["models"]) == {"demo-cnn", "demo-vit"}
    for name, modes in written["models"].items():
        assert set(modes) == {"zs", "lp", "ft"}
        assert {each.name for each in (quick_run / name).iterdir()} == {
            "entry.json",
            "ft.safetensors",
            "lp.safetensors",
            "open_clip_config.json",
            "open_clip_model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        }


def test_a_rerun_gives_the_same_weights(quick_run: Path, tmp_path: Path) -> None:
    run_script("--quick", "--only", "demo-cnn", "--out", str(tmp_path))
    one_model = json.loads((quick_run / "figures.json").read_text(encoding="utf-8"))
    one_model["models"].pop("demo-vit")
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "figures.json").write_text(json.dumps(one_model), encoding="utf-8")
    (reference / "demo-cnn").symlink_to(quick_run / "demo-cnn")
    rows = compare_runs(tmp_path, reference)
    assert [row[:2] for row in rows] == [("demo-cnn", "zs"), ("demo-cnn", "lp"), ("demo-cnn", "ft")]
    for _, _, first, second, moved in rows:
        assert abs(first - second) <= AUROC_TOLERANCE
        assert moved < 0.01


def test_heads_alone_are_made_again_on_the_same_image_text_model(
    quick_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(quick_run / "demo-cnn", tmp_path / "demo-cnn")
    base = tmp_path / "demo-cnn" / "open_clip_model.safetensors"
    before = load_file(base)
    (tmp_path / "demo-cnn" / "lp.safetensors").unlink()
    run_script("--quick", "--only", "demo-cnn", "--heads-only", "--out", str(tmp_path))
    # Tensors, not bytes: safetensors writes its metadata in any order.
    after = load_file(base)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    expected = load_head(quick_run / "demo-cnn" / "lp.safetensors").tensors
    made = load_head(tmp_path / "demo-cnn" / "lp.safetensors").tensors
    for name, tensor in expected.items():
        torch.testing.assert_close(made[name], tensor, rtol=0.02, atol=0.02)


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    printed = run_script("--quick", "--only", "demo-rnn", "--out", str(tmp_path), expected=1)
    assert "known: demo-cnn, demo-vit" in printed.replace("\n", " ")


def test_check_says_that_a_run_of_three_steps_is_not_the_shipped_one(quick_run: Path) -> None:
    printed = run_script("--check", str(quick_run), expected=1)
    assert f"tolerance {AUROC_TOLERANCE}" in printed


def test_check_of_a_folder_without_figures_says_how_to_write_them(tmp_path: Path) -> None:
    printed = run_script("--check", str(tmp_path), expected=1)
    assert "does not exist; write it with" in " ".join(printed.split())


def test_a_quick_run_does_not_overwrite_the_shipped_models() -> None:
    assert "--out" in run_script("--quick", expected=1)
