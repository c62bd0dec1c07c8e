# SPDX-License-Identifier: Apache-2.0
"""What a pass reads only when there is a reason to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import Forbidden, ObjectRef
from ansible_collections.media.immich.plugins.plugin_utils.passes.cluster_events import last_seen
from ansible_collections.media.immich.plugins.plugin_utils.passes.observation import observe
from support.instances import a_claim, a_cr, a_secret, an_instance_at_work, with_status

NOW = 1_800_000_000.0
REFUSED = 'pods "photos-postgres-0" is forbidden: exceeded quota: compute'


def failed(second: int, why: str = REFUSED) -> dict[str, Any]:
    message = f"create Pod photos-postgres-0 in StatefulSet photos-postgres failed error: {why}"
    return {"reason": "FailedCreate", "lastTimestamp": f"2026-01-01T00:00:0{second}Z", "message": message}


def made(second: int) -> dict[str, Any]:
    message = "create Claim data-photos-postgres-0 Pod photos-postgres-0 in StatefulSet photos-postgres success"
    return {"reason": "SuccessfulCreate", "lastTimestamp": f"2026-01-01T00:00:0{second}Z", "message": message}


class Cluster:
    """Objects by kind; remembers which kinds were read by name, and which were listed, and with which selector."""

    def __init__(self, cr: dict[str, Any], objects: list[dict[str, Any]]) -> None:
        self.cr, self.objects = cr, objects
        self.listed: dict[str, str] = {}
        self.looks: list[tuple[str, int]] = []
        self.found: list[str] = []
        self.may_list_events = True
        self.events = [failed(2), failed(1, "an older one")]
        self.others: list[dict[str, Any]] = []

    def api_groups(self) -> dict[str, list[str]]:
        return {"media.rm3l.org": ["v1alpha1"]}

    def find(self, ref: ObjectRef) -> dict[str, Any] | None:
        self.found.append(ref.kind)
        return None

    def list(
        self,
        ref: ObjectRef,
        *,
        selector: str = "",
        fields: str = "",
        limit: int = 0,
        keep: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> list[dict[str, Any]]:
        self.listed[ref.kind] = fields or selector
        if ref.kind == "Event":
            self.looks.append((fields, limit))
            if not self.may_list_events:
                raise Forbidden(403, "Forbidden", "events is forbidden", subject="Event")
            return [event for event in self.events if _is_selected(event, fields)][:limit]
        if ref.kind == "Immich":
            return [keep(cr) for cr in (self.cr, *self.others)]
        return [keep(item) for item in self.objects if item["kind"] == ref.kind]


def _is_selected(event: dict[str, Any], fields: str) -> bool:
    """By uid and reason, if the field selector asks for them; all other fields are those of the object that is looked at."""
    wanted = dict(part.split("=") for part in fields.split(","))
    uid, reason = wanted.get("involvedObject.uid"), wanted.get("reason")
    is_of_uid = uid is None or (event.get("involvedObject") or {}).get("uid", uid) == uid
    return is_of_uid and reason in (None, event.get("reason"))


def seen_in(cluster: Cluster, cr: dict[str, Any] | None = None, *, is_current: bool = False) -> dict[str, Any]:
    at_once = lambda reads: [read() for read in reads]  # noqa: E731
    return observe(cr or cluster.cr, cluster, in_parallel=at_once, now=NOW, is_current=is_current)  # type: ignore[arg-type]


@pytest.fixture
def healthy() -> Cluster:
    cr = a_cr()
    return Cluster(cr, an_instance_at_work(cr))


def without_its_pod(cluster: Cluster) -> Cluster:
    cluster.objects = with_status(cluster.objects, "StatefulSet", "photos-postgres", replicas=0)
    return cluster


def test_a_pass_over_a_healthy_instance_reads_no_events(healthy: Cluster) -> None:
    seen = seen_in(healthy)

    assert healthy.looks == []
    assert (seen["refusals"], seen["events"]) == ({}, {})


def test_the_custom_resource_comes_with_the_list_of_its_kind(healthy: Cluster) -> None:
    healthy.others = [{"metadata": {"name": name, "uid": name}, "spec": {}} for name in ("photo", "photos2")]

    seen = seen_in(healthy, {"metadata": {"name": "photos", "namespace": "family"}})

    assert seen["cr"] == healthy.cr, "what is stored, and not what the pass was started for"
    assert "Immich" not in healthy.found


def test_a_custom_resource_that_is_not_stored_is_not_there(healthy: Cluster) -> None:
    seen = seen_in(healthy, a_cr(name="new"))

    assert (seen["cr"], seen["deleting"]) == (None, False)


def test_a_custom_resource_that_is_current_is_taken_as_it_is(healthy: Cluster) -> None:
    given = a_cr({"server": {"replicas": 2}})

    assert seen_in(healthy, given, is_current=True)["cr"] == given


def test_events_tell_why_a_stateful_set_lacks_its_pod(healthy: Cluster) -> None:
    seen = seen_in(without_its_pod(healthy))

    assert seen["refusals"] == {"photos-postgres": REFUSED}
    assert healthy.listed["Event"] == "involvedObject.uid=uid-StatefulSet-photos-postgres"


@pytest.mark.parametrize(
    ("events", "refusals"),
    [
        pytest.param([], {}, id="not-told-yet"),
        pytest.param([failed(1), made(2)], {}, id="mended-since"),
        pytest.param([made(3), failed(2)], {}, id="mended-since-in-another-order"),
        pytest.param([made(1), failed(2)], {"photos-postgres": REFUSED}, id="refused-again"),
        pytest.param([made(2), failed(2)], {"photos-postgres": REFUSED}, id="right-after-its-claim-was-made"),
    ],
)
def test_a_refusal_that_is_over_is_not_reported(
    healthy: Cluster, events: list[dict[str, Any]], refusals: dict[str, str]
) -> None:
    healthy.events = events

    assert seen_in(without_its_pod(healthy))["refusals"] == refusals


def test_events_that_may_not_be_read_are_done_without(healthy: Cluster) -> None:
    healthy.may_list_events = False

    assert seen_in(without_its_pod(healthy))["refusals"] == {}


def made_large(spec: dict[str, Any]) -> dict[str, Any]:
    """The same with much that says nothing of claims."""
    more: dict[str, Any] = {
        "server": {"env": [{"name": "A"}] * 1_000},
        "immich": {"configuration": {"theme": {"customCss": "x"}}},
    }
    return {key: {**spec.get(key, {}), **more.get(key, {})} for key in {**spec, **more}} | {
        "imagePullSecrets": [{"name": "a"}]
    }


NAMES_A_CLAIM: dict[str, Any] = {"immich": {"persistence": {"library": {"existingClaim": "photos-library"}}}}


@pytest.mark.parametrize(
    ("mine", "seen"),
    [
        pytest.param({}, ["third"], id="that-name-one-as-this-one-has-claims-of-its-own-only"),
        pytest.param(NAMES_A_CLAIM, ["second", "third"], id="all-as-this-one-names-a-claim-that-may-be-that-of-any"),
    ],
)
def test_of_the_other_instances_those_are_seen_that_may_use_the_same_claim(
    mine: dict[str, Any], seen: list[str]
) -> None:
    cr = a_cr(mine)
    specs: dict[str, dict[str, Any]] = {"second": {"server": {"enabled": True}}, "third": NAMES_A_CLAIM}
    cluster = Cluster(cr, an_instance_at_work(cr))
    cluster.others = [
        {"metadata": {"name": name, "uid": name}, "spec": made_large(spec), "status": {"large": "x"}}
        for name, spec in specs.items()
    ]

    neighbours = seen_in(cluster)["neighbours"]

    empty = {"server": {}, "immich": {}}
    assert neighbours == [{"metadata": {"name": name}, "spec": empty | specs[name]} for name in seen]


OURS = {"app.kubernetes.io/instance": "photos", "app.kubernetes.io/managed-by": "immich-operator"}


def that_mounts(
    kind: str, name: str, claim: str = "nas", *, labels: dict[str, str] | None = None, **fields: Any
) -> dict[str, Any]:
    """A pod or workload of somebody's; `fields` are of the volume's source, or `replicas` and `phase`."""
    replicas, phase = fields.pop("replicas", 1), fields.pop("phase", "Running")
    spec = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": claim, **fields}}]}
    whole = spec if kind == "Pod" else {"replicas": replicas, "template": {"spec": spec}}
    metadata = {"name": name, "namespace": "family", "labels": labels or {}}
    return {"kind": kind, "metadata": metadata, "spec": whole, "status": {"phase": phase, "replicas": replicas}}


def a_database_that_is_to_start() -> Cluster:
    return Cluster(a_cr({"postgres": {"persistence": {"existingClaim": "nas"}}}), [a_claim("nas")])


@pytest.mark.parametrize(
    ("others", "told"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([that_mounts("Pod", "old-0")], ["Pod old-0"], id="a-pod"),
        pytest.param([that_mounts("Pod", "old-0", phase="Pending")], ["Pod old-0"], id="a-pod-that-starts"),
        pytest.param([that_mounts("StatefulSet", "old")], ["StatefulSet old"], id="a-workload-whose-pod-is-away"),
        pytest.param([that_mounts("Deployment", "old")], ["Deployment old"], id="another-kind-of-workload"),
        pytest.param([that_mounts("StatefulSet", "old", replicas=0)], [], id="a-workload-without-pods"),
        pytest.param([that_mounts("Pod", "old-0", phase="Succeeded")], [], id="a-pod-that-has-ended"),
        pytest.param([that_mounts("Pod", "backup", readOnly=True)], [], id="a-pod-that-cannot-write"),
        pytest.param([that_mounts("Pod", "old-0", "other")], [], id="of-another-claim"),
        pytest.param([that_mounts("Pod", "photos-postgres-0")], [], id="a-pod-of-the-databases-name"),
        pytest.param([that_mounts("Pod", "photos-server-x", labels=OURS)], [], id="another-component-of-the-instance"),
    ],
)
def test_before_a_database_is_started_on_a_claim_it_is_known_who_else_mounts_it(
    others: list[dict[str, Any]], told: list[str]
) -> None:
    cluster = a_database_that_is_to_start()
    cluster.objects += others

    assert seen_in(cluster)["database_mounted_by"] == told


def test_of_a_database_that_runs_nobody_asks_who_else_mounts_its_claim(healthy: Cluster) -> None:
    healthy.objects.append(that_mounts("Pod", "backup", "data-photos-postgres-0"))

    assert seen_in(healthy)["database_mounted_by"] == []


def test_a_claim_that_is_mounted_is_read_although_another_one_is_named_now() -> None:
    cr = a_cr({"postgres": {"persistence": {"existingClaim": "old"}}})
    cluster = Cluster(a_cr(), an_instance_at_work(cr, [a_claim("old")]))

    names = [reference["name"] for reference in seen_in(cluster)["references"]]

    assert "old" in names


def a_slow_pod(name: str = "server-x", component: str = "server", *, age_s: int = 60, **fields: Any) -> dict[str, Any]:
    """A pod of a Deployment that was made so long before NOW and is not ready."""
    made_at = datetime.fromtimestamp(NOW - age_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {**OURS, "app.kubernetes.io/component": component, "pod-template-hash": "5d9f"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"photos-{component}-5d9f", "controller": True}
    metadata = {
        "name": name,
        "namespace": "family",
        "uid": f"uid-{name}",
        "labels": labels,
        "creationTimestamp": made_at,
        "ownerReferences": [owner],
    }
    return {"kind": "Pod", "metadata": {**metadata, **fields.pop("metadata", {})}, "spec": {}, "status": fields}


def ready(status: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"}]


def test_events_of_a_pod_that_does_not_get_going_are_read_and_so_many_at_most(healthy: Cluster) -> None:
    healthy.objects.append(a_slow_pod())

    seen = seen_in(healthy)

    assert healthy.looks == [("involvedObject.kind=Pod,involvedObject.name=server-x", 200)]
    assert [event["message"] for event in seen["events"]["uid-server-x"]] == [e["message"] for e in healthy.events]


def test_events_of_a_claim_that_waits_for_long_are_read(healthy: Cluster) -> None:
    claim = a_claim("nas", creationTimestamp="2026-01-01T00:00:00Z")
    healthy.objects.append({**claim, "status": {"phase": "Pending"}})

    seen_in(healthy)

    assert healthy.looks == [("involvedObject.kind=PersistentVolumeClaim,involvedObject.name=nas", 200)]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_slow_pod(age_s=5), id="that-was-just-made"),
        pytest.param(a_slow_pod(conditions=ready("True")), id="that-is-ready"),
        pytest.param(a_slow_pod(phase="Failed", conditions=ready("False")), id="that-has-ended"),
        pytest.param(a_slow_pod(phase="Succeeded"), id="that-is-done"),
        pytest.param(a_slow_pod(metadata={"deletionTimestamp": "2099-01-01T00:00:00Z"}), id="that-has-time-to-end"),
    ],
)
def test_events_of_a_pod_are_not_read(healthy: Cluster, pod: dict[str, Any]) -> None:
    healthy.objects.append(pod)

    seen_in(healthy)

    assert healthy.looks == []


def test_however_many_pods_there_are_few_are_looked_at_and_some_of_each_component(healthy: Cluster) -> None:
    components = ("server", "machine-learning", "valkey")
    healthy.objects += [
        a_slow_pod(f"{component}-{n:02}", component, age_s=60 + n) for component in components for n in range(20)
    ]

    seen_in(healthy)

    looked_at = sorted(
        fields.removeprefix("involvedObject.kind=Pod,involvedObject.name=") for fields, _limit in healthy.looks
    )
    assert looked_at == sorted(f"{component}-{n}" for component in components for n in ("00", "01")), "the newest"


def test_values_of_secrets_are_not_in_what_is_kept_of_events(healthy: Cluster) -> None:
    secret = a_secret("db", password="a-long-password", username="immich-server")
    healthy.objects += [a_slow_pod(), secret]
    healthy.events = [failed(1, "mount -o user=immich,password=a-long-password failed: immich-server")]

    [event] = seen_in(healthy)["events"]["uid-server-x"]

    assert event["message"].endswith("mount -o user=immich,password=*** failed: immich-server")


def test_an_event_was_last_seen_when_the_latest_of_its_times_says() -> None:
    series = {"eventTime": "2026-01-01T00:00:01.500000Z", "series": {"lastObservedTime": "2026-01-01T00:00:09.000000Z"}}

    assert last_seen(series) - last_seen({"lastTimestamp": "2026-01-01T00:00:01Z"}) == 8.0
    assert last_seen({"lastTimestamp": None, "metadata": {"creationTimestamp": "1970-01-01T00:00:05Z"}}) == 5.0
    assert last_seen({}) == 0.0


def test_an_operator_that_may_not_read_events_does_without_those_of_pods(healthy: Cluster) -> None:
    healthy.objects.append(a_slow_pod())
    healthy.may_list_events = False

    assert seen_in(healthy)["events"] == {}


def test_events_of_a_former_pod_of_the_same_name_are_not_told(healthy: Cluster) -> None:
    healthy.objects.append(a_slow_pod())
    of = {"former": {"uid": "another"}, "present": {"uid": "uid-server-x"}, "nameless": {}}
    healthy.events = [{**failed(1, who), "involvedObject": involved} for who, involved in of.items()]

    told = [event["message"].rpartition(": ")[2] for event in seen_in(healthy)["events"]["uid-server-x"]]

    assert told == ["present", "nameless"]


@pytest.mark.parametrize("password", ["a-long-password", "s3cr3t"])
def test_values_of_secrets_are_not_in_what_is_kept_of_what_programs_and_controllers_say(
    healthy: Cluster, password: str
) -> None:
    said = {"exitCode": 1, "message": f"FATAL: cannot log in with {password}\nuser immich"}
    pod = a_slow_pod()
    pod["status"] = {**pod["status"], "containerStatuses": [{"name": "server", "state": {"terminated": said}}]}
    refused = {"type": "ReplicaFailure", "status": "True", "message": f'env: Invalid value: "{password}"'}
    objects = with_status(healthy.objects, "Deployment", "photos-server", conditions=[refused])
    objects = with_status(objects, "StatefulSet", "photos-postgres", replicas=0)
    healthy.objects = [*objects, pod, a_secret("db", password=password, username="immich")]
    healthy.events = [failed(2, f"webhook says {password}")]

    seen = seen_in(healthy)

    told = {**seen, "objects": [item for item in seen["objects"] if item["kind"] != "Secret"]}
    assert password not in str(told)
    assert "FATAL: cannot log in with ***\nuser immich" in [
        status["state"]["terminated"]["message"] for status in seen["pods"][-1]["status"]["containerStatuses"]
    ]
    assert seen["refusals"] == {"photos-postgres": "webhook says ***"}


def test_a_value_of_a_secret_that_is_a_word_of_a_status_changes_no_decision(healthy: Cluster) -> None:
    looked = {"name": "look-at-volume", "state": {"terminated": {"exitCode": 1, "message": "database\nat pgdata"}}}
    pod = a_slow_pod("photos-postgres-0", "postgres", metadata={"ownerReferences": []})
    pod["status"] = {"phase": "Running", "initContainerStatuses": [looked], "conditions": ready("Unknown")}
    healthy.objects = [*healthy.objects, pod, a_secret("words", a="database", b="pgdata", c="Running", d="Unknown")]

    seen = seen_in(healthy)

    assert seen["pods"][-1] == pod


def test_why_a_former_pod_of_the_same_name_had_to_go_is_kept_with_the_node_that_it_was_on(healthy: Cluster) -> None:
    healthy.objects.append(a_slow_pod())
    of = {"involvedObject": {"uid": "another"}, "source": {"host": "node-2"}}
    healthy.events = [{**failed(1, "low on memory"), **of, "reason": "Evicted"}, {**failed(2, "other"), **of}]

    [event] = seen_in(healthy)["events"]["uid-server-x"]

    assert (event["reason"], event["former_node"]) == ("Evicted", "node-2")


def of_a_crowd(count: int, uid: str | None) -> list[dict[str, Any]]:
    """So many Events of the pod's name, as the API server lists them: the newest last."""
    involved = {} if uid is None else {"uid": uid}
    return [{**failed(1, f"number {n}"), "involvedObject": {"uid": "", **involved}} for n in range(count)]


@pytest.mark.parametrize("newest_of", ["uid-server-x", ""])
def test_the_newest_event_is_seen_however_many_former_pods_of_the_name_have_left_theirs(
    healthy: Cluster, newest_of: str
) -> None:
    healthy.objects.append(a_slow_pod())
    newest = {**failed(2, "access denied"), "involvedObject": {"uid": newest_of}}
    healthy.events = [*of_a_crowd(5000, "of a former pod"), newest]

    told = [event["message"].rpartition(": ")[2] for event in seen_in(healthy)["events"]["uid-server-x"]]

    assert told == ["access denied"]
    assert len(healthy.looks) == 4, "three more requests, only where there are that many"


def test_the_newest_of_very_many_events_of_one_pod_is_seen(healthy: Cluster) -> None:
    healthy.objects.append(a_slow_pod())
    healthy.events = [
        *of_a_crowd(1500, "uid-server-x"),
        {**failed(2, "access denied"), "involvedObject": {"uid": "uid-server-x"}},
    ]

    told = [event["message"].rpartition(": ")[2] for event in seen_in(healthy)["events"]["uid-server-x"]]

    assert (told[-1], len(told)) == ("access denied", 200)
    assert [limit for _fields, limit in healthy.looks] == [200, 2000, 2000, 2000]


def test_of_very_many_events_why_a_former_pod_had_to_go_is_kept(healthy: Cluster) -> None:
    healthy.objects.append(a_slow_pod())
    gone = {**failed(2, "low on memory"), "involvedObject": {"uid": "another"}, "reason": "Evicted"}
    healthy.events = [*of_a_crowd(300, "of a former pod"), gone]

    assert [event["reason"] for event in seen_in(healthy)["events"]["uid-server-x"]] == ["Evicted"]
