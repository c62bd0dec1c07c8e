# SPDX-License-Identifier: Apache-2.0
"""Small conversions: addresses, processors, selectors, annotations."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_operator.config.cpu import usable_cpus
from immich_operator.config.options import options_of, verbosity_for, workers_for
from immich_operator.config.watches import Watch
from immich_operator.kube.label_selectors import Selector
from immich_operator.kube.resources import Kind, Resource, owner_of, ref_of
from immich_operator.kube.timestamps import seconds_of, text_of

WATCH = Watch(kind=Kind("example.org/v1", "Widget"), role=Path("/roles/widget"))


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"cpu.max": "50000 100000"}, 1, id="half-a-processor"),
        pytest.param({"cpu.max": "max 100000"}, None, id="no-limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1, id="version-1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, id="version-1-no-limit"),
        pytest.param({}, None, id="no-cgroup"),
    ],
)
def test_the_cgroup_quota_limits_the_processors(files, limit, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    found = usable_cpus(tmp_path)

    assert found == (limit or usable_cpus(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        pytest.param({}, True, id="empty"),
        pytest.param({"matchLabels": {"a": "1"}}, True, id="label"),
        pytest.param({"matchLabels": {"a": "2"}}, False, id="other-value"),
        pytest.param({"matchLabels": {"a": "1", "b": "1"}}, False, id="all-must-match"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "In", "values": ["0", "1"]}]}, True, id="in"),
        pytest.param({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False, id="in-absent"),
        pytest.param(
            {"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True, id="not-in-absent"
        ),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False, id="not-in"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True, id="exists"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False, id="does-not-exist"),
    ],
)
def test_selectors_match_as_the_api_server_reads_them(selector, matches):
    assert Selector.from_manifest(selector).matches({"a": "1"}) is matches


@pytest.mark.parametrize(
    "selector",
    [
        {"labels": {}},
        {"matchLabels": {"a": 1}},
        {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        {"matchExpressions": ["a"]},
    ],
)
def test_a_selector_that_cannot_work_is_refused(selector):
    with pytest.raises(ValueError, match=r"selector|quotes|matchExpression"):
        Selector.from_manifest(selector)


@pytest.mark.parametrize(
    "obj",
    [None, [], "x", {}, {"metadata": None}, {"metadata": []}, {"metadata": {"name": ""}}, {"metadata": {"name": 5}}],
)
def test_an_object_without_a_name_has_no_reference(obj):
    assert ref_of(obj) is None


def test_the_controlling_owner_goes_before_other_owners_and_other_kinds_do_not_count():
    kind = Kind("example.org/v1", "Widget")
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": True},
        {"apiVersion": "example.org/v1beta1", "kind": "Widget", "name": "first"},
        {"apiVersion": "example.org/v1", "kind": "Widget", "name": "main", "controller": True},
    ]

    assert owner_of({"metadata": {"ownerReferences": owners}}, kind) == "main"
    assert owner_of({"metadata": {"ownerReferences": owners[:2]}}, kind) == "first", "another version of the group"
    assert owner_of({"metadata": {"ownerReferences": owners[:1]}}, kind) is None


@pytest.mark.parametrize(
    ("kind", "namespaced", "namespace", "path"),
    [
        (Kind("v1", "Secret"), True, "a", "/api/v1/namespaces/a/secrets"),
        (Kind("v1", "Secret"), True, None, "/api/v1/secrets"),
        (Kind("apps/v1", "Secret"), True, "a", "/apis/apps/v1/namespaces/a/secrets"),
        (Kind("storage.k8s.io/v1", "Secret"), False, "a", "/apis/storage.k8s.io/v1/secrets"),
    ],
)
def test_paths_follow_group_scope_and_namespace(kind, namespaced, namespace, path):
    assert Resource(kind, "secrets", namespaced).path(namespace) == path


@given(st.integers(min_value=0, max_value=4 * 10**9))
def test_times_survive_being_written_and_read(seconds):
    assert seconds_of(text_of(seconds)) == seconds


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "2026-01-01T00:00:00"])
def test_what_is_no_time_is_none(text):
    assert seconds_of(text) is None


def test_annotations_go_before_everything_else():
    annotations = {
        "ansible.sdk.operatorframework.io/reconcile-period": "5m",
        "ansible.sdk.operatorframework.io/verbosity": "4",
        "ansible.sdk.operatorframework.io/max-runner-artifacts": "0",
    }

    options = options_of({"metadata": {"annotations": annotations}}, WATCH, period_s=60, verbosity=2)

    assert (options.period_s, options.verbosity, options.artifacts, options.problems) == (300, 4, 0, ())


def test_an_annotation_that_cannot_be_read_is_named_and_ignored():
    annotations = {
        "ansible.sdk.operatorframework.io/reconcile-period": "soon",
        "ansible.sdk.operatorframework.io/verbosity": "very",
    }

    options = options_of({"metadata": {"annotations": annotations}}, WATCH, period_s=60, verbosity=2)

    assert (options.period_s, options.verbosity) == (60, 2)
    assert [problem.split(":")[0] for problem in options.problems] == [
        "annotation ansible.sdk.operatorframework.io/reconcile-period",
        "annotation ansible.sdk.operatorframework.io/verbosity",
    ]


@pytest.mark.parametrize("name", ["reconcile-period", "verbosity", "max-runner-artifacts"])
def test_an_annotation_of_any_length_is_refused_at_once_and_in_few_words(name):
    annotation = {f"ansible.sdk.operatorframework.io/{name}": "1" * 20_000}
    started = time.process_time()

    options = options_of({"metadata": {"annotations": annotation}}, WATCH, period_s=60, verbosity=2)

    assert time.process_time() - started < 0.1
    assert (options.period_s, options.verbosity, options.artifacts) == (60, 2, WATCH.max_runner_artifacts)
    assert [len(problem) < 200 for problem in options.problems] == [True]


@pytest.mark.parametrize(("text", "verbosity"), [("4", 4), ("0", 0), ("8", 2), ("-1", 2), ("x", 2), ("", 2)])
def test_the_verbosity_of_a_kind_comes_from_its_variable(text, verbosity):
    environ = {"ANSIBLE_VERBOSITY_IMMICH_MEDIA_RM3L_ORG": text}

    assert verbosity_for(Kind("media.rm3l.org/v1alpha1", "Immich"), environ, 2) == verbosity


@pytest.mark.parametrize(
    ("environ", "workers"),
    [
        pytest.param({}, 2, id="default"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_IMMICH_MEDIA_RM3L_ORG": "7"}, 7, id="set"),
        pytest.param({"WORKER_IMMICH_MEDIA_RM3L_ORG": "5"}, 5, id="former-name"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_IMMICH_MEDIA_RM3L_ORG": "0"}, 2, id="zero"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_IMMICH_MEDIA_RM3L_ORG": "many"}, 2, id="no-number"),
        pytest.param({"MAX_CONCURRENT_RECONCILES_WIDGET_MEDIA_RM3L_ORG": "7"}, 2, id="of-another-kind"),
    ],
)
def test_the_workers_of_a_kind_come_from_its_variable(environ, workers):
    assert workers_for(Kind("media.rm3l.org/v1alpha1", "Immich"), environ, 2) == workers
