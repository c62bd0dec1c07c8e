# SPDX-License-Identifier: Apache-2.0
"""Custom resources and the CRD are read as kubectl reads YAML, whether PyYAML has libyaml or not."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd


def imported_anew() -> ModuleType:
    """The module as a process that starts now would have it."""
    spec = importlib.util.spec_from_file_location(f"{crd.__name__}_anew", crd.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["with libyaml", "without libyaml"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if request.param == "without libyaml":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML is built without libyaml here, so that nothing can be read by it")
    return imported_anew()


def test_what_looks_like_a_date_is_text(reader: ModuleType) -> None:
    assert reader.documents("a: 2026-11-24\nb: 2026-11-24T10:00:00Z\nc: 1\n---\n---\n- on\n") == [
        {"a": "2026-11-24", "b": "2026-11-24T10:00:00Z", "c": 1},
        None,
        [True],
    ]


def test_nothing_but_data_is_made_of_a_text(reader: ModuleType) -> None:
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        reader.documents("!!python/object/apply:os.getcwd []")


def test_the_definition_is_read_once_by_libyaml_where_it_is_there() -> None:
    module = imported_anew()

    assert module.definition() is module.definition()
    assert module._KubernetesLoader.__mro__[1] is getattr(yaml, "CSafeLoader", yaml.SafeLoader)
