# SPDX-License-Identifier: Apache-2.0
"""The dataclasses of the spec say what the CRD says: the same fields and the same defaults."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.schema import with_defaults
from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from ansible_collections.media.immich.plugins.plugin_utils.spec.fields import (
    Opaque,
    Persistence,
    SecretKey,
    Spec,
    key_of,
    read,
)
from support.instances import a_cr, report_for

SCHEMA = crd.open_api_schema()["properties"]["spec"]


def inner_class(hint: Any) -> Any:
    """The dataclass in `X`, `X | None` or `Sequence[X]`, None where there is none."""
    if hint is Opaque or get_origin(hint) is Mapping:
        return None
    candidates = [hint, *get_args(hint)]
    return next((found for found in candidates if hasattr(found, "__dataclass_fields__")), None)


def objects(path: str, kind: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """(dataclass, schema) of an object of the API and of all below it that the operator knows."""
    yield pytest.param(kind, schema, id=path)
    for attribute in fields(kind):
        key = key_of(attribute)
        inner, below = inner_class(attribute.type), schema["properties"].get(key, {})
        if inner:
            is_list = get_origin(attribute.type) is Sequence
            yield from objects(f"{path}.{key}{'[]' if is_list else ''}", inner, below["items"] if is_list else below)


OBJECTS = list(objects("spec", Spec, SCHEMA))


@pytest.mark.parametrize(("kind", "schema"), OBJECTS)
def test_each_field_of_the_api_is_an_attribute(kind, schema):
    assert {key_of(attribute) for attribute in fields(kind)} == set(schema["properties"])


@pytest.mark.parametrize(("kind", "schema"), OBJECTS)
def test_the_default_of_an_attribute_is_that_of_the_crd(kind, schema):
    ours = {key_of(entry): getattr(kind(), entry.name) for entry in fields(kind) if not is_an_object(entry)}
    ours = {
        key: list(value) if isinstance(value, Sequence | Mapping) and not isinstance(value, str) else value
        for key, value in ours.items()
    }

    for key, value in ours.items():
        theirs = schema["properties"][key].get("default")
        if theirs in (None, {}):
            assert value in (None, "", []), f"{key} has no default in the CRD"
        else:
            assert value == theirs, key


def is_an_object(attribute: Any) -> bool:
    return inner_class(attribute.type) is attribute.type


def test_a_spec_without_anything_reads_as_the_one_that_the_api_server_completes():
    assert read(Spec, {}) == Spec() == read(Spec, with_defaults(SCHEMA, {}))


UNSET = [
    pytest.param({"postgres": {"port": 0}}, id="port-0"),
    pytest.param({"postgres": {"database": "", "username": ""}}, id="empty-text-with-a-default"),
    pytest.param({"postgres": {"passwordSecretRef": {}}}, id="empty-reference"),
    pytest.param({"postgres": {"persistence": {"accessModes": [], "size": ""}}}, id="empty-list-with-a-default"),
    pytest.param({"server": {"route": {"tls": {"termination": ""}}}}, id="empty-text-deep-below"),
    pytest.param({"server": {"replicas": None, "enabled": None, "ingress": None}}, id="null"),
    pytest.param({"server": {"replicas": "2", "enabled": "no", "ingress": [], "env": {}}}, id="wrong-type"),
    pytest.param({"server": {"replicas": True, "ingress": {"hosts": ["x", None]}}}, id="wrong-items"),
]


@pytest.mark.parametrize("spec", UNSET)
def test_it_counts_as_unset(spec):
    assert read(Spec, spec) == Spec()


def test_what_is_given_is_kept():
    affinity = {"nodeAffinity": {}}
    spec = read(
        Spec,
        {
            "machineLearning": {"replicas": 0, "affinity": affinity, "image": ""},
            "postgres": {"persistence": {"storageClass": "", "size": 5}, "urlSecretRef": {"name": "db", "key": "url"}},
            "server": {
                "enabled": False,
                "env": [{"name": "TZ"}],
                "ingress": {"hosts": [{"host": "a", "paths": [{}]}]},
                "route": {"enabled": False, "tls": {"destinationCACertificate": "PEM"}},
            },
        },
    )

    assert spec.machine_learning.replicas == 0
    assert spec.machine_learning.affinity is affinity
    assert spec.machine_learning.image == ""
    assert spec.postgres.persistence == Persistence(storage_class="", size=5)
    assert spec.postgres.url_secret_ref == SecretKey(name="db", key="url")
    assert not spec.server.enabled
    assert spec.server.env == ({"name": "TZ"},)
    assert [(host.host, [path.path for path in host.paths]) for host in spec.server.ingress.hosts] == [("a", ["/"])]
    assert spec.server.route.enabled is False
    assert spec.server.route.tls.destination_ca_certificate == "PEM"


def keys() -> set[str]:
    return set().union(*({key_of(attribute) for attribute in fields(entry.values[0])} for entry in OBJECTS))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(keys())), inner, max_size=6),
    max_leaves=30,
)


def test_the_status_has_no_field_that_the_crd_lacks():
    """The API server would drop it without a word."""
    known, status = crd.open_api_schema()["properties"]["status"]["properties"], report_for(a_cr())["status"]

    assert status.keys() <= known.keys()
    assert status["images"].keys() <= known["images"]["properties"].keys()


@given(anything)
def test_nothing_that_may_be_stored_breaks_it(spec):
    found = read(Spec, spec)

    assert isinstance(found.server.enabled, bool)
    assert isinstance(found.valkey.db_index, int)
    assert isinstance(found.postgres.persistence.size, str | int)
    assert all(isinstance(mode, str) for mode in found.valkey.persistence.access_modes)


def test_passwords_do_not_show_in_its_text():
    spec = read(Spec, {"valkey": {"password": "hunter2"}, "server": {"env": [{"name": "X", "value": "hunter2"}]}})

    assert "hunter2" not in f"{spec} {spec.valkey!r} {spec.server!r}"
