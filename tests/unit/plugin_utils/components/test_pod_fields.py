# SPDX-License-Identifier: Apache-2.0
"""What users add to the pods of each component: volumes, containers, scheduling, times of probes."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.spec.checks import IS_OUR_CONTAINER
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete, open_api_schema
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import selector, spec_key, workload_name
from support.instances import a_claim, a_config_map, a_cr, a_secret, notices, plan_for, pod_template, workloads

COMPONENTS = list(registry.workloads())
every_component = pytest.mark.parametrize("component", COMPONENTS)

SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
AS_THEY_ARE = {
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "serviceAccountName": "immich",
    "terminationGracePeriodSeconds": 600,
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["nas"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.2"]},
    "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}],
    "topologySpreadConstraints": [{**SPREAD, "labelSelector": {"matchLabels": {"team": "family"}}}],
}


def workload(plan, component):
    [found] = [each for each in workloads(plan) if each["metadata"]["name"] == workload_name("photos", component)]
    return found


def pods_of(component, settings, objects=()):
    return pod_template(workload(plan_for(a_cr({spec_key(component): settings}), objects), component))["spec"]


def told(component, settings, objects=(), effect="explains"):
    plan = plan_for(a_cr({spec_key(component): settings}), objects)
    return [(str(n.reason), n.message) for n in plan.notices if n.effect == effect and n.component == component]


def container(**fields):
    return {"name": "helper", "image": "example.com/helper:1", **fields}


@every_component
@pytest.mark.parametrize("field", AS_THEY_ARE)
def test_it_goes_to_the_pods_as_it_is(component, field):
    assert pods_of(component, AS_THEY_ARE)[field] == AS_THEY_ARE[field]


@every_component
def test_who_says_no_selector_spreads_the_components_own_pods(component):
    [constraint] = pods_of(component, {"topologySpreadConstraints": [SPREAD]})["topologySpreadConstraints"]

    assert constraint == {**SPREAD, "labelSelector": {"matchLabels": selector("photos", component)}}


@every_component
def test_volumes_and_mounts_come_after_ours(component):
    volume, mount = {"name": "nas", "nfs": {"server": "nas", "path": "/p"}}, {"name": "nas", "mountPath": "/mnt/nas"}
    plain = pods_of(component, {})

    spec = pods_of(component, {"volumes": [volume], "volumeMounts": [mount]})

    assert spec["volumes"] == [*plain["volumes"], volume]
    assert spec["containers"][0]["volumeMounts"] == [*plain["containers"][0]["volumeMounts"], mount]


@every_component
def test_a_mount_of_the_users_takes_the_place_of_an_empty_folder(component):
    settings = {
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumes": [{"name": "mine", "emptyDir": {}}],
        "volumeMounts": [{"name": "mine", "mountPath": "/tmp"}],  # noqa: S108 - a mount in the container
    }

    spec = pods_of(component, settings)

    at_tmp = [m["name"] for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == "/tmp"]  # noqa: S108
    assert at_tmp == ["mine"]


@every_component
def test_init_containers_run_before_ours_and_others_beside_the_components_own(component):
    plain = pods_of(component, {})

    spec = pods_of(
        component, {"initContainers": [container(restartPolicy="Always")], "extraContainers": [container(name="b")]}
    )

    assert spec["initContainers"] == [container(restartPolicy="Always"), *plain.get("initContainers", [])]
    assert spec["containers"] == [*plain["containers"], container(name="b")]


@every_component
def test_times_of_probes_replace_only_themselves(component):
    plain = pods_of(component, {})["containers"][0]

    changed = pods_of(component, {"probes": {"liveness": {"timeoutSeconds": 60}, "startup": {"failureThreshold": 9}}})

    after = changed["containers"][0]
    assert after["livenessProbe"] == {**plain["livenessProbe"], "timeoutSeconds": 60}
    assert after["startupProbe"] == {**plain["startupProbe"], "failureThreshold": 9}
    assert after["readinessProbe"] == plain["readinessProbe"]


def test_pods_that_run_background_jobs_only_get_no_probes_by_their_times():
    jobs = [{"name": "IMMICH_WORKERS_EXCLUDE", "value": "api"}]

    [main] = pods_of("server", {"env": jobs, "probes": {"liveness": {"timeoutSeconds": 60}}})["containers"]

    assert "livenessProbe" not in main


@every_component
def test_annotations_are_those_of_the_workload_and_say_nothing_to_the_operator(component):
    settings = {"annotations": {"example.com/a": "b", "media.rm3l.org/rewritten": "x"}}
    plan = plan_for(a_cr({spec_key(component): settings}))

    found = workload(plan, component)

    assert found["metadata"]["annotations"] == {"example.com/a": "b"}
    assert "example.com/a" not in pod_template(found)["metadata"].get("annotations", {})
    assert "media.rm3l.org/rewritten has no effect" in str(told(component, settings, effect="warns"))


KEY = {"name": "theirs", "key": "k"}
REFERENCES = [
    pytest.param({"volumes": [{"name": "v", "secret": {"secretName": "theirs"}}]}, "Secret", id="volume-of-a-secret"),
    pytest.param(
        {"volumes": [{"name": "v", "configMap": {"name": "theirs"}}]}, "ConfigMap", id="volume-of-a-config-map"
    ),
    pytest.param(
        {"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "theirs"}}}]},
        "Secret",
        id="secret-of-a-driver",
    ),
    *(
        pytest.param({field: [container(env=[{"name": "A", "valueFrom": {ref: KEY}}])]}, kind, id=f"{field}-{ref}")
        for field in ("initContainers", "extraContainers")
        for kind, ref in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef"))
    ),
    *(
        pytest.param({field: [container(envFrom=[{ref: {"name": "theirs"}}])]}, kind, id=f"{field}-{ref}")
        for field in ("initContainers", "extraContainers")
        for kind, ref in (("Secret", "secretRef"), ("ConfigMap", "configMapRef"))
    ),
]


def there(kind, value):
    return a_secret("theirs", k=value) if kind == "Secret" else a_config_map("theirs", k=value)


@every_component
@pytest.mark.parametrize(("settings", "kind"), REFERENCES)
def test_what_is_named_and_missing_is_told_and_heals_when_it_appears(component, settings, kind):
    [(reason, message)] = told(component, settings)

    assert reason == f"{kind}NotFound"
    assert message.startswith(f"{kind} theirs named in spec.{spec_key(component)}.")
    assert told(component, settings, [there(kind, "v")]) == []


@every_component
@pytest.mark.parametrize(("settings", "kind"), REFERENCES)
def test_pods_are_replaced_when_what_they_use_changes(component, settings, kind):
    checksums = []

    for value in ("one", "two", "two"):
        plan = plan_for(a_cr({spec_key(component): settings}), [there(kind, value)])
        annotations = pod_template(workload(plan, component))["metadata"]["annotations"]
        checksums.append(annotations["media.rm3l.org/secrets-checksum"])

    assert checksums[0] != checksums[1] == checksums[2]


@every_component
def test_an_optional_reference_may_be_missing(component):
    settings = {
        "volumes": [{"name": "v", "secret": {"secretName": "theirs", "optional": True}}],
        "extraContainers": [
            container(
                env=[{"name": "A", "valueFrom": {"secretKeyRef": {**KEY, "optional": True}}}],
                envFrom=[{"configMapRef": {"name": "theirs", "optional": True}}],
            )
        ],
    }

    assert told(component, settings) == []


@every_component
def test_a_missing_claim_is_told(component):
    settings = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "theirs"}}]}

    [(reason, message)] = told(component, settings)

    assert reason == "ClaimNotFound"
    assert f"spec.{spec_key(component)}.volumes[0].persistentVolumeClaim.claimName" in message
    assert told(component, settings, [a_claim("theirs")]) == []


@pytest.mark.parametrize(("seconds", "is_told"), [(0, True), (59, True), (60, False), (3600, False)])
def test_a_database_that_gets_little_time_to_end_is_told(seconds, is_told):
    plan = plan_for(a_cr({"postgres": {"terminationGracePeriodSeconds": seconds}}))

    assert (("postgres", "SafeguardRemoved") in notices(plan, "warns")) == is_told


def problems(settings):
    cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}}
    return [str(problem) for problem in complete({**cr, "spec": {"server": settings}})[1]]


@pytest.mark.parametrize(
    ("settings", "path", "part"),
    [
        pytest.param(
            {"initContainers": [container(name=name)]},
            "initContainers[0].name",
            "for containers of the operator",
            id=name,
        )
        for name in ("server", "wait-for-me", "look-at-library", "guard-x")
    ]
    + [
        pytest.param(
            {"extraContainers": [container(name="A")]}, "extraContainers[0].name", "lower case", id="capitals"
        ),
        pytest.param({"extraContainers": [container(name=1)]}, "extraContainers[0].name", "lower case", id="number"),
        pytest.param(
            {"initContainers": [container()], "extraContainers": [container()]},
            "extraContainers[0].name",
            "two containers of a pod are called helper",
            id="twins",
        ),
    ],
)
def test_a_container_that_no_pod_can_have_is_told_with_its_field(settings, path, part):
    [problem] = problems(settings)

    assert f"spec.server.{path}" in problem
    assert part in problem


def test_containers_and_volumes_of_ours_have_names_that_no_user_can_take():
    """Whoever adds one: extend the pattern, in hack/crd/immich.yaml too, before users take the name."""
    server = open_api_schema()["properties"]["spec"]["properties"]["server"]["properties"]
    [rule] = server["volumes"]["items"]["properties"]["name"]["x-kubernetes-validations"]
    settings = {"securityContext": {"readOnlyRootFilesystem": True}}
    plan = plan_for(a_cr(dict.fromkeys(map(spec_key, COMPONENTS), settings)))

    specs = [pod_template(each)["spec"] for each in workloads(plan)]

    containers = {c["name"] for spec in specs for c in (*spec.get("initContainers", ()), *spec["containers"])}
    assert {name for name in containers if not IS_OUR_CONTAINER.fullmatch(name)} == set()
    for name in {volume["name"] for spec in specs for volume in spec["volumes"]}:
        [problem] = problems({"volumes": [{"name": name, "emptyDir": {}}]})
        assert rule["message"].partition(". ")[0] in problem
