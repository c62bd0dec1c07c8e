# SPDX-License-Identifier: Apache-2.0
"""Pods run with as few rights as they can, and users may say otherwise."""

import pytest

from support.instances import a_claim, a_cr, a_secret, container, found, plan_for, pod_template, workloads

NON_ROOT = {"podSecurityContext": {"runAsNonRoot": True, "runAsUser": 1000}}
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
VARIANTS = [
    pytest.param({}, id="minimal"),
    pytest.param({"valkey": {"persistence": {"enabled": True}}}, id="persistent-queues"),
    pytest.param({"immich": {"configurationKind": "Secret", "metrics": {"enabled": True}}}, id="secret-and-metrics"),
    pytest.param({"immich": {"configurationKind": "None"}}, id="no-file"),
    pytest.param({"postgres": {"persistence": {"existingClaim": "nas"}}}, id="own-database-volume"),
]


def with_non_root(spec):
    components = {key: {**spec.get(key, {}), **NON_ROOT} for key in ("server", "machineLearning")}
    return {**spec, **components}


def violations(pod):
    """What the Pod Security Standard "restricted" (v1.34) has against a pod's spec."""
    found = []
    pod_context = pod.get("securityContext", {})
    for volume in pod.get("volumes", ()):
        found += [f"volume {volume['name']}: {kind}" for kind in volume if kind not in {"name", *RESTRICTED_VOLUMES}]
    found += [field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)]
    for entry in (*pod.get("initContainers", ()), *pod["containers"]):
        context = entry.get("securityContext", {})
        effective = {**pod_context, **context}
        capabilities = context.get("capabilities", {})
        checks = {
            "privileged": not context.get("privileged"),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "drop ALL": "ALL" in capabilities.get("drop", ()),
            "add": set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": effective.get("runAsNonRoot") is True,
            "runAsUser": effective.get("runAsUser") != 0,
            "seccompProfile": effective.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "procMount": context.get("procMount", "Default") == "Default",
            "hostPort": not any(port.get("hostPort") for port in entry.get("ports", ())),
        }
        found += [f"{entry['name']}: {what}" for what, is_fine in checks.items() if not is_fine]
    return found


@pytest.mark.parametrize("spec", VARIANTS)
@pytest.mark.parametrize("openshift", [False, True], ids=["kubernetes", "openshift"])
def test_with_an_unprivileged_user_the_instance_passes_pod_security_restricted(spec, openshift):
    cr = a_cr(with_non_root(spec) | ({"postgres": {**spec.get("postgres", {}), **NON_ROOT}} if openshift else {}))
    if openshift:
        cr["spec"]["valkey"] = {**cr["spec"]["valkey"], **NON_ROOT}

    plan = plan_for(cr, [a_claim("nas")], openshift=openshift)

    assert len(workloads(plan)) == 4
    for workload in workloads(plan):
        assert violations(pod_template(workload)["spec"]) == [], workload["metadata"]["name"]


@pytest.mark.parametrize("spec", VARIANTS)
def test_without_one_only_the_user_is_missing_and_only_where_images_run_as_root(spec):
    for workload in workloads(plan_for(a_cr(spec))):
        found = violations(pod_template(workload)["spec"])

        assert all(violation.endswith("runAsNonRoot") for violation in found)
        if workload["metadata"]["name"] in {"photos-postgres", "photos-valkey"}:
            assert found == []


def test_the_checker_sees_what_it_is_there_for():
    pod = {"containers": [{"name": "c"}], "volumes": [{"name": "v", "hostPath": {"path": "/"}}], "hostNetwork": True}

    assert violations(pod) == [
        "volume v: hostPath",
        "hostNetwork",
        "c: allowPrivilegeEscalation",
        "c: drop ALL",
        "c: runAsNonRoot",
        "c: seccompProfile",
    ]


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "photos-postgres"), ("Deployment", "photos-valkey")])
def test_database_and_queues_run_as_user_and_group_999(kind, name):
    context = pod_template(found(plan_for(a_cr()), kind, name))["spec"]["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (999, 999, 999)
    assert context["runAsNonRoot"] is True


def test_openshift_gets_no_fixed_ids():
    ids = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}

    for workload in workloads(plan_for(a_cr(), openshift=True)):
        spec = pod_template(workload)["spec"]
        contexts = [
            spec["securityContext"],
            *(c["securityContext"] for c in (*spec.get("initContainers", ()), *spec["containers"])),
        ]
        assert all(not ids & set(context) for context in contexts), workload["metadata"]["name"]


@pytest.mark.parametrize("key", ["server", "machineLearning", "valkey", "postgres"])
def test_security_contexts_are_merged_and_the_users_win(key):
    settings = {
        "podSecurityContext": {"fsGroup": 26, "seccompProfile": {"type": "Localhost", "localhostProfile": "x"}},
        "securityContext": {
            "allowPrivilegeEscalation": True,
            "capabilities": {"add": ["CHOWN"]},
            "readOnlyRootFilesystem": True,
        },
    }
    name = "photos-machine-learning" if key == "machineLearning" else f"photos-{key}"

    [workload] = [w for w in workloads(plan_for(a_cr({key: settings}))) if w["metadata"]["name"] == name]

    pod = pod_template(workload)["spec"]["securityContext"]
    assert pod["fsGroup"] == 26
    assert pod["seccompProfile"] == {"type": "Localhost", "localhostProfile": "x"}
    assert container(workload)["securityContext"] == {
        "allowPrivilegeEscalation": True,
        "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
        "readOnlyRootFilesystem": True,
    }


def not_hardened(plan):
    return [notice.message for notice in plan.notices if notice.reason == "NotHardened"]


WORKLOAD_NAMES = {"machineLearning": "photos-machine-learning"}


def context_of(plan, key):
    """(security context of the pod, of its main container) of a component."""
    name = WORKLOAD_NAMES.get(key, f"photos-{key}")
    [workload] = [w for w in workloads(plan) if w["metadata"]["name"] == name]
    return pod_template(workload)["spec"]["securityContext"], container(workload)["securityContext"]


@pytest.mark.parametrize("key", ["server", "machineLearning", "valkey", "postgres"])
@pytest.mark.parametrize(
    ("context", "kept"),
    [
        pytest.param({"privileged": True}, {"privileged": True}, id="privileged"),
        pytest.param(
            {"capabilities": {"add": ["CAP_SYS_ADMIN"]}},
            {"capabilities": {"drop": ["ALL"], "add": ["CAP_SYS_ADMIN"]}},
            id="administrator",
        ),
        pytest.param(
            {"capabilities": {"add": ["ALL"]}},
            {"allowPrivilegeEscalation": False, "capabilities": {"add": ["ALL"]}},
            id="all-capabilities",
        ),
    ],
)
def test_a_default_that_contradicts_a_users_field_goes_and_that_is_told(key, context, kept):
    plan = plan_for(a_cr({key: {"securityContext": context}}))

    assert context_of(plan, key)[1] == kept
    [message] = not_hardened(plan)
    assert message.startswith(f"spec.{key}.securityContext: {{")


@pytest.mark.parametrize("key", ["valkey", "postgres"])
@pytest.mark.parametrize("where", ["podSecurityContext", "securityContext"])
def test_a_database_that_is_to_start_as_root_may_and_can_hand_over_its_volume(key, where):
    plan = plan_for(a_cr({key: {where: {"runAsUser": 0}}}))

    pod, main = context_of(plan, key)
    assert "runAsNonRoot" not in {**pod, **main}
    assert {**pod, **main}["runAsUser"] == 0
    assert "capabilities" not in main
    [message] = not_hardened(plan)
    assert message.startswith(f"spec.{key}.{where}: {{runAsUser: 0}} can't stand beside the operator's runAsNonRoot")


@pytest.mark.parametrize("where", ["podSecurityContext", "securityContext"])
def test_a_server_that_is_to_run_as_root_stays_hardened(where):
    plan = plan_for(a_cr({"server": {where: {"runAsUser": 0}}}))

    assert (
        context_of(plan, "server")[1].items()
        >= {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }.items()
    )
    assert not_hardened(plan) == []


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({"privileged": False}, id="not-privileged"),
        pytest.param({"privileged": True, "allowPrivilegeEscalation": True, "capabilities": {"drop": []}}, id="said"),
        pytest.param({"capabilities": {"add": ["CHOWN"]}}, id="one-capability"),
    ],
)
def test_where_nothing_contradicts_there_is_nothing_to_tell_of(context):
    assert not_hardened(plan_for(a_cr({"server": {"securityContext": context}}))) == []


def test_containers_that_wait_run_as_the_servers_user_and_get_none_of_its_rights():
    context = {
        "privileged": True,
        "allowPrivilegeEscalation": True,
        "capabilities": {"add": ["SYS_ADMIN"]},
        "seccompProfile": {"type": "Unconfined"},
        "runAsUser": 1000,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
    }

    server = found(plan_for(a_cr({"server": {"securityContext": context}})), "Deployment", "photos-server")

    _look, *waiters = pod_template(server)["spec"]["initContainers"]
    assert [waiter["securityContext"] for waiter in waiters] == 2 * [
        {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsUser": 1000,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
        }
    ]


def test_init_containers_run_as_the_servers_user():
    server = found(plan_for(a_cr({"server": {"securityContext": {"runAsUser": 1234}}})), "Deployment", "photos-server")

    contexts = [entry["securityContext"] for entry in pod_template(server)["spec"]["initContainers"]]

    assert contexts == [container(server)["securityContext"]] * 3


TMP = "/tmp"  # noqa: S108 - in the container
READ_ONLY = {"securityContext": {"readOnlyRootFilesystem": True}}


def scratch_of(workload):
    """{folder: volume} of the empty folders that the main container may write."""
    volumes = {volume["name"]: volume for volume in pod_template(workload)["spec"]["volumes"]}
    return {
        mount["mountPath"]: volumes[mount["name"]]
        for mount in container(workload)["volumeMounts"]
        if "sizeLimit" in volumes.get(mount["name"], {}).get("emptyDir", {}) and mount["name"] != "shm"
    }


@pytest.mark.parametrize(
    ("key", "name", "folders"),
    [
        pytest.param("server", "photos-server", {TMP}, id="server"),
        pytest.param("machineLearning", "photos-machine-learning", {TMP}, id="machine-learning"),
        pytest.param("valkey", "photos-valkey", {TMP}, id="valkey"),
        pytest.param(
            "postgres",
            "photos-postgres",
            {TMP, "/var/run/postgresql", "/etc/postgresql"},
            id="postgres",
        ),
    ],
)
def test_a_read_only_root_comes_with_folders_to_write_to_and_a_limit_for_them(key, name, folders):
    [hardened] = [w for w in workloads(plan_for(a_cr({key: READ_ONLY}))) if w["metadata"]["name"] == name]
    [plain] = [w for w in workloads(plan_for(a_cr())) if w["metadata"]["name"] == name]

    assert set(scratch_of(hardened)) == folders
    assert all(volume["emptyDir"] == {"sizeLimit": "1Gi"} for volume in scratch_of(hardened).values())
    assert scratch_of(plain) == {}
    for field in ("volumeMounts", "volumes"):
        of = [container(w) if field == "volumeMounts" else pod_template(w)["spec"] for w in (plain, hardened)]
        assert of[1][field][: len(of[0][field])] == of[0][field], "what was there stays first"


@pytest.mark.parametrize(
    ("image", "is_emptied"),
    [
        pytest.param("registry.example.com/immich-app/postgres:17-vectorchord0.5.3", True, id="mirror-of-immichs"),
        pytest.param(f"ghcr.io/immich-app/postgres@sha256:{64 * '0'}", True, id="digest"),
        pytest.param("registry.example.com/family/postgres:17", False, id="own-image"),
        pytest.param("docker.io/tensorchord/vchord-postgres:pg17", False, id="another-image"),
    ],
)
def test_the_settings_that_an_image_brings_along_are_not_hidden(image, is_emptied):
    stateful_set = found(plan_for(a_cr({"postgres": {**READ_ONLY, "image": image}})), "StatefulSet", "photos-postgres")

    assert ("/etc/postgresql" in scratch_of(stateful_set)) is is_emptied
    assert "/var/run/postgresql" in scratch_of(stateful_set)


SECRET_TEXTS = ["database password", "queue password", "smtp password", "oauth secret"]


def test_no_secret_value_is_in_anything_but_a_secret():
    cr = a_cr(
        {
            "postgres": {"enabled": False, "host": "db", "passwordSecretRef": {"name": "db", "key": "p"}},
            "valkey": {"enabled": False, "host": "redis", "password": "queue password"},
            "immich": {
                "configuration": {
                    "oauth": {"clientSecretRef": {"name": "oauth", "key": "s"}},
                    "notifications": {"smtp": {"transport": {"passwordSecretRef": {"name": "smtp", "key": "p"}}}},
                }
            },
        }
    )
    referred = [
        a_secret("db", p="database password"),
        a_secret("oauth", s="oauth secret"),
        a_secret("smtp", p="smtp password"),
    ]

    plan = plan_for(cr, referred)

    public = str([manifest for manifest in plan.objects if manifest["kind"] != "Secret"]) + str(plan.notices)
    assert [text for text in SECRET_TEXTS if text in public] == []


@pytest.mark.parametrize(
    ("context", "policy"),
    [
        ({"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}, "OnRootMismatch"),
        ({"fsGroup": 1000, "fsGroupChangePolicy": "Always"}, "Always"),
        ({"runAsUser": 1000}, None),
    ],
    ids=["group", "users-policy", "no-group"],
)
def test_no_start_of_a_pod_goes_through_all_files_of_the_library_unless_the_user_wants_it(context, policy):
    server = found(plan_for(a_cr({"server": {"podSecurityContext": context}})), "Deployment", "photos-server")

    assert pod_template(server)["spec"]["securityContext"].get("fsGroupChangePolicy") == policy
