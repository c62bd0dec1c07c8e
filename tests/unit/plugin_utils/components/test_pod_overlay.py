# SPDX-License-Identifier: Apache-2.0
"""`podTemplate`: it is laid over the pods last, breaks no selector and no rollout, and tells which safeguards it undoes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.components import pod_overlay, registry
from ansible_collections.media.immich.plugins.plugin_utils.components.instance import Part
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component, spec_key, workload_name
from support.instances import a_cr, plan_for, pod_template, workloads

COMPONENTS = list(registry.workloads())
every_component = pytest.mark.parametrize("component", COMPONENTS)


def planned(component, overlay, **more):
    return plan_for(a_cr({spec_key(component): {"podTemplate": overlay, **more}}))


def template_of(plan, component):
    [found] = [each for each in workloads(plan) if each["metadata"]["name"] == workload_name("photos", component)]
    return pod_template(found)


def told(plan, reason):
    return [notice.message for notice in plan.notices if notice.reason == reason]


@every_component
def test_it_comes_after_the_other_fields(component):
    more = {"priorityClassName": "low", "extraContainers": [{"name": "side", "image": "s"}]}
    overlay = {"spec": {"priorityClassName": "high", "containers": [{"name": "side", "tty": True}]}}

    plan = planned(component, overlay, **more)

    spec = template_of(plan, component)["spec"]
    assert spec["priorityClassName"] == "high"
    assert {"name": "side", "image": "s", "tty": True} in spec["containers"]
    assert told(plan, "SafeguardRemoved") == told(plan, "SettingIgnored") == []


@every_component
def test_the_components_own_container_stays_and_is_the_first(component):
    overlay = {"spec": {"containers": [{"name": "new", "image": "n"}, {"name": str(component), "$patch": "delete"}]}}
    plain = template_of(plan_for(a_cr()), component)["spec"]["containers"]

    plan = planned(component, overlay)

    assert template_of(plan, component)["spec"]["containers"] == [*plain, {"name": "new", "image": "n"}]
    [message] = told(plan, "SettingIgnored")
    assert f"container {component}" in message


@every_component
def test_labels_of_selectors_and_checksums_stay(component):
    mine = {"app.kubernetes.io/instance": "else", "app.kubernetes.io/component": None, "tier": "photos"}
    notes = {"media.rm3l.org/secrets-checksum": "x", "media.rm3l.org/config-checksum": None, "a": "b"}
    plain = template_of(plan_for(a_cr()), component)["metadata"]

    plan = planned(component, {"metadata": {"labels": mine, "annotations": notes}})

    found = template_of(plan, component)["metadata"]
    assert found["labels"] == {**plain["labels"], "tier": "photos"}
    assert found["annotations"] == {**plain.get("annotations", {}), "a": "b"}
    [message] = told(plan, "SettingIgnored")
    assert "metadata.labels[app.kubernetes.io/instance]" in message


POSTGRES, SERVER = "postgres", "server"


def main(component, **fields):
    return {"spec": {"containers": [{"name": component, **fields}]}}


UNDOES = [
    pytest.param(SERVER, {"spec": {"hostNetwork": True}}, "hostNetwork", id="network-of-the-node"),
    pytest.param(SERVER, {"spec": {"automountServiceAccountToken": True}}, "automountServiceAccountToken", id="token"),
    pytest.param(POSTGRES, {"spec": {"securityContext": {"runAsUser": 0}}}, "securityContext.runAsUser", id="pod-user"),
    pytest.param(
        POSTGRES, {"spec": {"securityContext": None}}, "securityContext.fsGroup", id="whole-security-context-of-the-pod"
    ),
    pytest.param(
        SERVER,
        main(SERVER, securityContext={"allowPrivilegeEscalation": True}),
        "securityContext.allowPrivilegeEscalation of container server",
        id="security-context",
    ),
    pytest.param(SERVER, main(SERVER, livenessProbe=None), "livenessProbe of container server", id="probe-gone"),
    pytest.param(
        POSTGRES,
        main(POSTGRES, startupProbe={"exec": {"command": ["true"]}}),
        "startupProbe of container postgres",
        id="probe-of-nothing",
    ),
    pytest.param(
        SERVER,
        {"spec": {"initContainers": [{"name": "look-at-library", "$patch": "delete"}]}},
        "init container look-at-library",
        id="guard",
    ),
    pytest.param(
        POSTGRES,
        {"spec": {"initContainers": [{"name": "look-at-volume", "command": ["true"]}]}},
        "command of init container look-at-volume",
        id="guard-that-looks-at-nothing",
    ),
    pytest.param(
        SERVER,
        main(SERVER, volumeMounts=[{"mountPath": "/data", "name": "tmp"}]),
        "mount /data of container server",
        id="mount",
    ),
    pytest.param(
        SERVER,
        {"spec": {"volumes": [{"name": "library", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]}},
        "volume library",
        id="library-in-an-empty-folder",
    ),
    pytest.param(
        SERVER,
        main(SERVER, env=[{"name": "DB_HOSTNAME", "value": "elsewhere"}]),
        "variable DB_HOSTNAME of container server",
        id="database",
    ),
    pytest.param(SERVER, main(SERVER, image="other"), "image of container server", id="image-past-the-versions"),
    pytest.param(
        POSTGRES, {"spec": {"terminationGracePeriodSeconds": 5}}, "terminationGracePeriodSeconds", id="time-to-end"
    ),
]


@pytest.mark.parametrize(("component", "overlay", "named"), UNDOES)
def test_each_safeguard_that_it_undoes_is_named(component, overlay, named):
    [message] = told(planned(component, overlay), "SafeguardRemoved")

    assert message.startswith(f"spec.{component}.podTemplate undoes")
    assert named in message


@pytest.mark.parametrize(
    ("component", "overlay"),
    [
        pytest.param(SERVER, main(SERVER, livenessProbe={"timeoutSeconds": 60}), id="times-of-a-probe"),
        pytest.param(SERVER, main(SERVER, env=[{"name": "TZ", "value": "UTC"}]), id="another-variable"),
        pytest.param(POSTGRES, {"spec": {"terminationGracePeriodSeconds": 900}}, id="more-time-to-end"),
        pytest.param(SERVER, main(SERVER, securityContext={"readOnlyRootFilesystem": True}), id="stricter"),
    ],
)
def test_what_undoes_nothing_is_not_told(component, overlay):
    assert told(planned(component, overlay), "SafeguardRemoved") == []


NO_OVERLAYS = [
    pytest.param({"sepc": {}}, "sepc is no field of a pod template", id="typo"),
    pytest.param({"metadata": {"name": "x"}}, "metadata.name can't be set for pods", id="name"),
    pytest.param({"metadata": {"ownerReferences": []}}, "metadata.ownerReferences", id="owners"),
    pytest.param({"metadata": {"labels": ["a"]}}, "metadata.labels is no mapping", id="labels"),
    pytest.param({"spec": {"$patch": "replace"}}, "would take away the whole pod", id="replaces-everything"),
    pytest.param({"spec": {"containers": [{"image": "x"}]}}, "spec.containers is no list of things", id="no-name"),
    pytest.param({"spec": {"containers": {"name": "x"}}}, "spec.containers is no list of things", id="no-list"),
    pytest.param(main(SERVER, env=[{"value": "x"}]), "an item has no name", id="variable-without-name"),
    pytest.param({"spec": {"securityContext": {"$patch": "keep"}}}, "$patch is 'keep'", id="unknown-directive"),
]


@pytest.mark.parametrize(("overlay", "part"), NO_OVERLAYS)
def test_what_is_no_overlay_holds_the_component_back_as_it_is(overlay, part):
    plan = planned(SERVER, overlay)

    [message] = told(plan, "SpecInvalid")
    assert message.startswith("spec.server.podTemplate: ")
    assert part in message
    assert "photos-server" not in [each["metadata"]["name"] for each in workloads(plan)]


WORDS = [
    "name",
    "$patch",
    "env",
    "containers",
    "initContainers",
    "volumes",
    "volumeMounts",
    "mountPath",
    "ports",
    "labels",
]
WORDS += ["annotations", "image", "securityContext", "livenessProbe", "$retainKeys", "$setElementOrder/env"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner | st.sampled_from(["server", "delete", "replace", "library"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["metadata", "spec"]), anything, max_size=2))
def test_nothing_that_may_be_stored_breaks_it(overlay):
    template = template_of(plan_for(a_cr()), Component.SERVER)

    result = pod_overlay.laid_over(Part(Component.SERVER), template, overlay, "spec.server")

    assert result["spec"]["containers"][0]["name"] == "server"
    assert result["metadata"]["labels"].items() >= template["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "odd",
    [{"env": [{"value": "y"}]}, {"env": "abc"}, {"volumeMounts": [{"name": "v"}]}, {"securityContext": "none"}],
    ids=["variable-without-name", "variables-as-text", "mount-without-path", "context-as-text"],
)
def test_an_odd_container_of_the_users_beside_an_overlay_is_left_to_the_api_server(odd):
    settings = {"extraContainers": [{"name": "mine", "image": "i", **odd}], "podTemplate": {"spec": {"nodeName": "a"}}}

    template = template_of(plan_for(a_cr({"server": settings})), Component.SERVER)

    assert [each["name"] for each in template["spec"]["containers"]] == ["server", "mine"]
