# SPDX-License-Identifier: Apache-2.0
"""Defaults of the API stand in the CRD and in `spec/fields.py`, which tests compare, and in no builder beside."""

import ast
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from ansible_collections.media.immich.plugins.plugin_utils import components
from ansible_collections.media.immich.plugins.plugin_utils.spec import fields as api

BUILDERS = sorted(Path(components.__file__).parent.glob("*.py"))
OF_THE_API = [field for kind in vars(api).values() if is_dataclass(kind) for field in fields(kind)]
KEYS, ATTRIBUTES = {api.key_of(field) for field in OF_THE_API}, {field.name for field in OF_THE_API}


def leftovers(source: str) -> list[str]:
    """Defaults that code gives to fields of the API: `.get("replicas", 1)`, `dig(x, "port", default=1)`, `x.port or 1`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), default]):
                is_one = key in KEYS and is_a_value(default)
            case ast.Call(func=ast.Name(id="dig"), args=[*_, ast.Constant(value=str(key))], keywords=[given_]):
                is_one = key in KEYS and is_a_value(given_.value)
            case ast.BoolOp(op=ast.Or(), values=[ast.Attribute(attr=name), *_, default]):
                is_one = name in ATTRIBUTES and is_a_value(default)
            case ast.BoolOp(op=ast.Or(), values=[ast.Call(args=[*_, ast.Constant(value=str(key))]), *_, default]):
                is_one = key in KEYS and is_a_value(default)
            case _:
                continue
        found += [ast.unparse(node)] if is_one else []
    return found


def is_a_value(node: ast.expr) -> bool:
    """True for a literal that is not empty, and for a name that is written as constants are."""
    match node:
        case ast.Constant(value=value):
            return bool(value)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(keys=items):
            return bool(items)
        case ast.Name(id=name):
            return name.isupper()
    return False


@pytest.mark.parametrize("module", BUILDERS, ids=lambda path: path.stem)
def test_a_builder_defaults_no_field(module):
    assert leftovers(module.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        'settings.get("replicas", 1)',
        'settings.get("enabled", True)',
        'dig(spec, "immich", "configurationKind", default="ConfigMap")',
        "settings.port or PORT",
        'settings.username or "immich"',
        'settings.get("username") or "immich"',
        'settings.access_modes or ["ReadWriteOnce"]',
    ],
)
def test_a_default_in_a_builder_would_be_found(source):
    assert leftovers(source) == [ast.unparse(ast.parse(source))]
