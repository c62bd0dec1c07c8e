# SPDX-License-Identifier: Apache-2.0
"""A custom resource as extra variables."""

import pytest

from immich_operator.errors import ParameterError
from immich_operator.kube.resources import Kind
from immich_operator.passes.params import extra_vars, mark_unsafe, snake_keys, to_snake

IMMICH = Kind("media.rm3l.org/v1alpha1", "Immich")
PLAIN: dict = {"snake_case": False, "unsafe": False, "identity_only": False, "static": {}}
UPSTREAM = {
    "storageClassName": "storage_class_name",
    "apiURL": "api_url",
    "podIPs": "pod_ips",
    "HTTPPort": "http_port",
    "s3Bucket": "s3_bucket",
    "S3Bucket": "_s3_bucket",
    "JSONData": "_json_data",
    "sizeK8sBuckets": "size_k8s_buckets",
    "IPv6Address": "ip_v6_address",
    "size1Gi": "size1_gi",
    "app-test": "app_test",
    "aB": "ab",
    "URL": "__url",
    "IP": "__ip",
    "HTTPURL": "http__url",
    "SHIPPING": "_sh_ip_ping",
    "egressIPsEgress": "egress_ips_egress",
    "URLsegressIPsEgressHTTPs": "_urls_egress_ips_egress_https",
    "image.tag": "image.tag",
    "already_snake": "already_snake",
}


def an_immich(spec: object = None) -> dict:
    return {"metadata": {"name": "photos", "namespace": "family", "labels": {"a": "b"}}, "spec": spec}


def variables(spec: object, **options: object) -> dict:
    return extra_vars(an_immich(spec), IMMICH, **{**PLAIN, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("camel", "snake"), UPSTREAM.items(), ids=list(UPSTREAM))
def test_keys_become_what_the_operator_sdk_makes_of_them(camel, snake):
    assert to_snake(camel) == snake


def test_keys_are_converted_at_any_depth_and_values_are_not():
    spec = {"webServer": {"nodePorts": [{"httpPort": "keepMe"}]}}

    assert snake_keys(spec) == {"web_server": {"node_ports": [{"http_port": "keepMe"}]}}


def test_the_whole_resource_and_its_spec_are_there_under_names_made_of_group_and_kind():
    spec = {"webServer": 1}

    found = variables(spec, snake_case=True)

    assert found["_media_rm3l_org_immich"] == an_immich(spec)
    assert found["_media_rm3l_org_immich_spec"] == {"webServer": 1}, "as stored, not in snake case"


def test_a_kind_of_the_core_group_gives_two_underscores():
    found = extra_vars(an_immich({}), Kind("v1", "Secret"), **PLAIN)

    assert {"__secret", "__secret_spec"} <= found.keys()


@pytest.mark.parametrize(
    ("spec", "static", "name", "value"),
    [
        pytest.param({"a": 1}, {}, "a", 1, id="spec"),
        pytest.param(
            {"ansible_operator_meta": "mine"}, {}, "ansible_operator_meta", {"name": "photos", "namespace": "family"},
            id="meta-over-spec",
        ),
        pytest.param({"a": 1}, {"a": 2}, "a", 2, id="watch-vars-over-spec"),
        pytest.param({}, {"ansible_operator_meta": 3}, "ansible_operator_meta", 3, id="watch-vars-over-meta"),
    ],
)  # fmt: skip
def test_a_later_family_wins_over_an_earlier_one(spec, static, name, value):
    assert variables(spec, static=static)[name] == value


def test_every_string_of_the_resource_is_marked_unsafe_and_the_files_own_vars_are_not():
    found = variables({"a": ["{{ x }}", 1]}, unsafe=True, static={"meta": "{{ ansible_operator_meta }}"})

    assert found["a"] == [{"__ansible_unsafe": "{{ x }}"}, 1]
    assert found["_media_rm3l_org_immich_spec"] == {"a": [{"__ansible_unsafe": "{{ x }}"}, 1]}
    assert found["_media_rm3l_org_immich"]["metadata"]["name"] == {"__ansible_unsafe": "photos"}
    assert found["meta"] == "{{ ansible_operator_meta }}"


def test_a_role_that_reads_the_resource_itself_gets_only_its_identity():
    found = variables({"a": {"__ansible_unsafe": "x"}}, identity_only=True, unsafe=True, static={"b": 2})

    who = {"name": "photos", "namespace": "family"}
    marked = {key: {"__ansible_unsafe": value} for key, value in who.items()}
    api = {"apiVersion": {"__ansible_unsafe": "media.rm3l.org/v1alpha1"}, "kind": {"__ansible_unsafe": "Immich"}}
    assert found == {
        "ansible_operator_meta": who,
        "_media_rm3l_org_immich": {**api, "metadata": {**marked, "uid": None}},
        "b": 2,
    }


def test_marking_leaves_the_original_as_it_is():
    original = {"a": {"b": ["c"]}}

    mark_unsafe(original)

    assert original == {"a": {"b": ["c"]}}


@pytest.mark.parametrize("spec", [None, "text", ["list"], 5], ids=["absent", "text", "list", "number"])
def test_a_spec_that_is_no_mapping_gives_no_variables_of_its_own(spec):
    found = variables(spec, snake_case=True)

    assert set(found) == {"ansible_operator_meta", "_media_rm3l_org_immich", "_media_rm3l_org_immich_spec"}


def test_an_empty_key_is_named_instead_of_crashing():
    with pytest.raises(ParameterError, match="spec holds an empty key; remove it, or set snakeCaseParameters: false"):
        variables({"": 1}, snake_case=True)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        pytest.param({"aB": {"__ansible_unsafe": "{{ lookup('pipe', 'id') }}"}}, "aB.__ansible_unsafe", id="unsafe"),
        pytest.param({"a": [{"__ansible_vault": "x"}]}, "a.0.__ansible_vault", id="vault-in-a-list"),
        pytest.param({"__ansible_type": 1}, "__ansible_type", id="any-other-mark"),
    ],
)
def test_a_key_that_ansible_would_take_for_a_mark_of_its_own_is_refused_and_named(spec, where):
    with pytest.raises(ParameterError, match=f"^spec.{where} is a key that begins with __ansible"):
        variables(spec, unsafe=True, snake_case=True)


def test_a_value_too_deep_to_be_read_back_with_its_marks_is_refused():
    value: object = "text"
    for _ in range(200):
        value = {"a": value}

    with pytest.raises(ParameterError, match="levels deep"):
        mark_unsafe(value)
