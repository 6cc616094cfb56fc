"""What holds for every saliency method of the table, on every kind of image tower."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from torch import nn

import model_store.saliency
from model_store.errors import UnknownMethod, UnsuitableLayer
from model_store.modes import Mode
from model_store.saliency import SALIENCY_METHODS, SaliencyMethod, find_method
from model_store.saliency.towers import tower_layers
from tests.network_state import make_unusual, same, snapshot
from tests.saliency_oracles import ORACLES, stretched
from tests.saliency_towers import (
    FINDINGS,
    INPUT_SIZE,
    TOWERS,
    head_scorer,
    mode_of,
    pictures,
    text_scorer,
)

# Modules of the package that carry methods rather than being one.
SUPPORT = {
    "attention",
    "attention_flow",
    "attention_gradient",
    "basis",
    "lastblock",
    "layers",
    "listing",
    "methods",
    "pooling",
    "shared",
    "state",
    "towers",
}
ORDER = (
    "gradcam",
    "hirescam",
    "gradcampp",
    "layercam",
    "gradcam_elementwise",
    "eigencam",
    "rollout",
    "legrad",
    "randomcam",
)
# Those that need attention: a residual network has none.
NEED_ATTENTION = {"rollout", "legrad"}
SCORERS = {"cosine": text_scorer, "logit": head_scorer}


@pytest.fixture(scope="module", params=TOWERS)
def tower(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, TOWERS[request.param]()


@pytest.fixture(params=SALIENCY_METHODS)
def method(request: pytest.FixtureRequest, tower: tuple[str, nn.Module]) -> SaliencyMethod:
    if request.param in NEED_ATTENTION and tower[0] == "residual network":
        pytest.skip("refused there; see the test of the refusal")
    return SALIENCY_METHODS[request.param]


@pytest.fixture(params=SCORERS)
def mode(request: pytest.FixtureRequest, tower: tuple[str, nn.Module]) -> Mode:
    return mode_of(SCORERS[request.param](tower[1]))


@pytest.fixture
def probe(tower: tuple[str, nn.Module]) -> Mode:
    return mode_of(head_scorer(tower[1]))


@pytest.fixture
def broken(tower: tuple[str, nn.Module]) -> Iterator[nn.Module]:
    """The tower with a part near its end that fails."""
    visual: Any = tower[1]
    part = visual.ln_post if hasattr(visual, "ln_post") else visual.head

    def fail(_module: nn.Module, _inputs: Any) -> NoReturn:
        raise IndexError("broken on purpose")

    handle = part.register_forward_pre_hook(fail)
    yield visual
    handle.remove()


def test_each_map_equals_the_oracle_asked_for_one_finding_at_a_time(
    method: SaliencyMethod, mode: Mode
) -> None:
    x = pictures(1)
    result = method.maps(mode, x)

    n_compared = 0
    for index in range(len(FINDINGS)):
        expected = ORACLES[method.name](mode, x, index)
        if expected.max() == 0:
            assert not result.maps[0, index].any()
            continue
        found = stretched(result.maps[0, index])
        np.testing.assert_allclose(found, stretched(expected), atol=1e-5)
        n_compared += 1
    # Under random weights a whole map may be negative.
    assert n_compared >= (1 if method.name == "randomcam" else 2)
    with torch.no_grad():
        scores = mode.network(x)
    np.testing.assert_allclose(result.scores, scores.numpy(), atol=1e-5)


def test_an_earlier_layer_gives_the_oracles_maps_too(method: SaliencyMethod, probe: Mode) -> None:
    earlier = probe.at_layer(tower_layers(probe.network.visual).paths[-2])
    assert earlier.target.path != probe.target.path
    x = pictures(1, seed=4)
    for index in (0, 1):
        expected = ORACLES[method.name](earlier, x, index)
        found = method.maps(earlier, x).maps[0, index]
        if expected.max() > 0:
            np.testing.assert_allclose(stretched(found), stretched(expected), atol=1e-5)
        else:
            assert not found.any()


def test_pictures_asked_for_together_get_the_maps_that_each_gets_alone(
    method: SaliencyMethod, probe: Mode
) -> None:
    x = pictures(5)
    together = method.maps(probe, x)

    assert together.maps.shape == (5, len(FINDINGS), *INPUT_SIZE)
    assert together.scores.shape == (5, len(FINDINGS))
    assert together.maps.dtype == together.scores.dtype == np.float32
    assert np.isfinite(together.maps).all()
    assert together.maps.min() >= 0
    for index in (0, 4):
        alone = method.maps(probe, x[index : index + 1])
        scale = together.maps[index].max()
        np.testing.assert_allclose(alone.maps[0] / scale, together.maps[index] / scale, atol=1e-5)
        np.testing.assert_allclose(alone.scores[0], together.scores[index], atol=1e-5)
    assert not np.allclose(together.maps[0], together.maps[4], atol=1e-3 * together.maps.max())


def test_a_method_says_truly_whether_findings_have_maps_of_their_own(
    method: SaliencyMethod, probe: Mode
) -> None:
    maps = method.maps(probe, pictures(1)).maps[0]
    assert maps.max() > 0
    are_equal = np.array_equal(maps[0], maps[1]) and np.array_equal(maps[0], maps[2])
    assert are_equal is not method.per_finding


def test_the_network_comes_back_as_it_was(method: SaliencyMethod, probe: Mode) -> None:
    try:
        before = make_unusual(probe.network)
        method.maps(probe, pictures(2))
        assert same(snapshot(probe.network), before)
    finally:
        _calm(probe.network)


def test_after_an_error_too_and_the_error_is_not_swallowed(
    method: SaliencyMethod, tower: tuple[str, nn.Module], request: pytest.FixtureRequest
) -> None:
    mode = mode_of(head_scorer(tower[1]))
    request.getfixturevalue("broken")
    try:
        before = make_unusual(mode.network)
        # pytorch-grad-cam's own context manager would print this and go on.
        with pytest.raises(IndexError, match="broken on purpose"):
            method.maps(mode, pictures(1))
        assert same(snapshot(mode.network), before)
    finally:
        _calm(mode.network)


def test_two_threads_at_once_get_the_maps_that_one_gets(tower: tuple[str, nn.Module]) -> None:
    modes = [mode_of(scorer(tower[1])) for scorer in SCORERS.values()]
    methods = [
        each
        for name, each in SALIENCY_METHODS.items()
        if name not in NEED_ATTENTION or tower[0] != "residual network"
    ]
    x = pictures(2, seed=6)
    alone = [method.maps(mode, x).maps for method in methods for mode in modes]

    def ask(number: int) -> np.ndarray:
        return methods[number // 2].maps(modes[number % 2], x).maps

    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(ask, [*range(len(alone)), *reversed(range(len(alone)))]))

    for found, expected in zip(together, alone + alone[::-1], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", sorted(NEED_ATTENTION))
def test_a_network_without_attention_is_refused_with_the_reason(name: str) -> None:
    mode = mode_of(head_scorer(TOWERS["residual network"]()))
    with pytest.raises(UnsuitableLayer, match="type ResNet has no attention that can be read"):
        SALIENCY_METHODS[name].maps(mode, pictures(1))


@pytest.mark.parametrize("name", sorted(NEED_ATTENTION))
def test_a_layer_outside_the_blocks_is_refused_where_attention_is_read(name: str) -> None:
    visual = TOWERS["average pooling"]()
    mode = mode_of(head_scorer(visual), "visual.trunk.patch_drop")
    with pytest.raises(UnsuitableLayer, match=r"patch_drop lies in none of the 3 blocks"):
        SALIENCY_METHODS[name].maps(mode, pictures(1))


@pytest.mark.parametrize("name", SALIENCY_METHODS)
def test_what_is_no_batch_of_pictures_is_refused(name: str) -> None:
    mode = mode_of(head_scorer(TOWERS["class token"]()))
    for wrong in (torch.zeros(3, *INPUT_SIZE), torch.zeros(0, 3, *INPUT_SIZE)):
        with pytest.raises(ValueError, match=r"expected pictures \(B, 3, h, w\)"):
            SALIENCY_METHODS[name].maps(mode, wrong)


@pytest.mark.parametrize("name", SALIENCY_METHODS)
def test_a_method_is_listed_under_its_name_and_says_what_it_is(name: str) -> None:
    method = SALIENCY_METHODS[name]
    assert method.name == name
    assert method.title
    for sentence in (method.description, method.layer_rule):
        assert sentence.endswith(".")
        assert len(sentence) < 100
    assert method.source
    assert callable(method.maps)
    assert find_method(name) is method
    assert replace(method, name="other") != method


def test_the_methods_stand_in_the_order_of_the_page() -> None:
    assert tuple(SALIENCY_METHODS) == ORDER


def test_every_module_that_defines_a_method_is_listed() -> None:
    for module in pkgutil.iter_modules(model_store.saliency.__path__):
        if module.name in SUPPORT:
            continue
        loaded = importlib.import_module(f"model_store.saliency.{module.name}")
        defined = [each for each in vars(loaded).values() if isinstance(each, SaliencyMethod)]
        assert defined, f"{module.name} defines no method; name it among the support modules"
        for method in defined:
            assert SALIENCY_METHODS.get(method.name) is method, f"{module.name} is not listed"


def test_an_unknown_method_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownMethod, match="unknown saliency method 'guesswork'; known: gradcam"):
        find_method("guesswork")


@pytest.mark.parametrize(
    "module", ["model_store.saliency", "model_store.prompt_basis", "model_store.runtime"]
)
def test_what_the_page_reads_loads_no_torch(module: str, repo_root: Path) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=repo_root, check=False)
    assert done.returncode == 0


def _calm(network: nn.Module) -> None:
    """Back to what the module's other tests expect."""
    network.eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.grad = None
