"""What holds for every saliency method of the table."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import model_store.saliency
from model_store.errors import UnknownMethod
from model_store.saliency import SALIENCY_METHODS, SaliencyMethod, find_method

# Modules of the package that carry methods rather than being one.
SUPPORT = {"all_findings", "layers", "methods", "state"}


@pytest.mark.parametrize("name", SALIENCY_METHODS)
def test_a_method_is_listed_under_its_name_and_says_what_it_is(name: str) -> None:
    method = SALIENCY_METHODS[name]
    assert method.name == name
    assert method.description.endswith(".")
    assert method.source
    assert callable(method.maps)
    assert find_method(name) is method


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
