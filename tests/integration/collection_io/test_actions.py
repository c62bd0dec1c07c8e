# SPDX-License-Identifier: Apache-2.0
"""The three actions as tasks of a play, against a real API server."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.kube.values import text
from immich_operator.engine import Play
from immich_operator.engine.fork import ForkEngine
from localcluster.testing import Cluster

HERE = Path(__file__).parent
CRD = HERE.parents[2] / "crds" / "media.rm3l.org_immiches.yaml"
LABELS = {"app.kubernetes.io/instance": "photos", "app.kubernetes.io/managed-by": "immich-operator"}
PASS = "immich-operator/"
Manifest = dict[str, Any]
RunTasks = Callable[..., list[Manifest]]

ROUTES = "routes.route.openshift.io"


def install(cluster: Cluster, file: Path, name: str) -> None:
    """Install a CRD and wait until it is served."""
    cluster.kubectl("apply", "-f", str(file))
    cluster.api.wait_served(name)


@pytest.fixture(scope="module")
def kind(cluster: Cluster) -> None:
    install(cluster, CRD, "immiches.media.rm3l.org")


@pytest.fixture
def routes(cluster: Cluster) -> Iterator[None]:
    """The Route API, for one test only: other tests see a cluster without it."""
    install(cluster, HERE / "crds.yaml", ROUTES)
    yield
    cluster.kubectl("delete", "crd", ROUTES)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkEngine]:
    """Plays run as the operator runs them, in forks; an ansible-playbook for each takes ten times as long."""
    quiet = ("ANSIBLE_LOCALHOST_WARNING", "ANSIBLE_INJECT_INVOCATION", "ANSIBLE_DEPRECATION_WARNINGS")
    with pytest.MonkeyPatch.context() as environment:
        for variable in quiet:
            environment.setenv(variable, "0")
        engine = ForkEngine(
            base_dir=tmp_path_factory.mktemp("engine"), preload_roles=[], log=logging.getLogger("engine")
        )
        yield engine
        engine.close()


@pytest.fixture
def play(cluster: Cluster, engine: ForkEngine, tmp_path: Path) -> RunTasks:
    """Run tasks, given as (action, arguments), and return their results.

    What `apply` and `observe` tell in `json` is in the result itself; it must be the same on its way through a variable.
    """

    def run(*tasks: tuple[str, Manifest], args: tuple[str, ...] = (), kubeconfig: Path | None = None) -> list[Manifest]:
        variables = {f"args_{position}": unsafe(arguments) for position, (_, arguments) in enumerate(tasks)}
        steps: list[Manifest] = [
            {
                f"media.immich.{action}": f"{{{{ args_{position} }}}}",
                "register": f"result_{position}",
                "ignore_errors": True,
            }
            for position, (action, _) in enumerate(tasks)
        ]
        results = tmp_path / "results.json"
        registered = ", ".join(step["register"] for step in steps)
        content = f"{{{{ [{registered}] | to_json }}}}"
        steps.append(
            {
                "ansible.builtin.copy": {"content": content, "dest": str(results), "mode": "0600"},
                "check_mode": False,
                "diff": False,
            }
        )
        playbook = tmp_path / "play.json"
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": steps}])
        )
        environment = cluster.local.environment()
        if kubeconfig:
            environment |= {"KUBECONFIG": str(kubeconfig), "K8S_AUTH_KUBECONFIG": str(kubeconfig)}
        done = engine.run(
            Play(
                ident=secrets.token_hex(4),
                private_data_dir=tmp_path / "run",
                playbook=playbook,
                extra_vars=variables,
                env=environment,
                ansible_args=shlex.join(args),
            ),
            threading.Event(),
        )
        assert done.ok(), done
        return [
            {**result, **json.loads(result["json"])} if "json" in result else result
            for result in json.loads(results.read_text())
        ]

    return run


def unsafe(value: Any) -> Any:
    """As the loop hands a custom resource over: no string is a template."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    return [unsafe(item) for item in value] if isinstance(value, list) else value


def instance(namespace: str, **spec: Any) -> Manifest:
    metadata = {"name": "photos", "namespace": namespace, "labels": LABELS}
    return {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": metadata, "spec": spec}


def manifest(api_version: str, kind: str, namespace: str, name: str = "x", **rest: Any) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": LABELS}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


NOTHING_THERE = text({"objects": []})


def apply_step(item: Manifest, **rest: Any) -> Manifest:
    return {"verb": "apply", "component": "server", "object": item, **rest}


def test_observe_reads_an_instance_in_at_most_eleven_requests(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks
) -> None:
    cr = instance(namespace, server={"podAnnotations": {"note": "{{ 7*7 }} and {% raw %}"}})
    cluster.api.create(cr)
    for name in ("photos-checksum-key", "photos-postgres-credentials", "photos-library", "data-photos-postgres-0"):
        kind_of = "Secret" if name.endswith(("key", "credentials")) else "PersistentVolumeClaim"
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        cluster.api.create(manifest("v1", kind_of, namespace, name, **({"spec": spec} if kind_of != "Secret" else {})))
    cluster.api.create(
        {**manifest("v1", "ConfigMap", namespace, "foreign"), "metadata": {"name": "foreign", "namespace": namespace}}
    )
    mark = cluster.audit.mark()

    [seen] = play(("observe", {"cr": cr}), args=("--check",))

    requests = [entry for entry in cluster.audit.since(mark) if entry.user_agent.startswith(PASS)]
    before_a_database_is_started = 3  # what else mounts its claim
    assert len(requests) <= 11 + before_a_database_is_started
    assert seen["cr"]["spec"]["server"]["podAnnotations"] == {"note": "{{ 7*7 }} and {% raw %}"}
    assert (seen["deleting"], seen["apis"], seen["openshift"]) == (
        False,
        {"immich": True, "route": False, "httproute": False},
        False,
    )
    names = {(item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in seen["objects"]}
    assert names == {
        ("v1", "Secret", "photos-checksum-key"),
        ("v1", "Secret", "photos-postgres-credentials"),
        ("v1", "PersistentVolumeClaim", "photos-library"),
        ("v1", "PersistentVolumeClaim", "data-photos-postgres-0"),
    }
    assert all(reference["object"] and not reference["forbidden"] for reference in seen["references"])


def test_observe_finds_nothing_where_there_is_nothing(kind: None, namespace: str, play: RunTasks) -> None:
    [seen] = play(("observe", {"cr": instance(namespace, valkey={"passwordSecretRef": {"name": "v", "key": "k"}})}))

    assert (seen["cr"], seen["objects"], seen["pods"]) == (None, [], [])
    assert {"apiVersion": "v1", "kind": "Secret", "name": "v", "object": None, "forbidden": False} in seen["references"]


def allow_immiches(cluster: Cluster, namespace: str, account: str, verbs: str, resources: str) -> None:
    rules = (f"--verb={verbs}", f"--resource={resources}")
    cluster.kubectl("create", "role", "immiches", "-n", namespace, *rules)
    whom = f"--serviceaccount={namespace}:{account}"
    cluster.kubectl("create", "rolebinding", "immiches", "-n", namespace, "--role=immiches", whom)


def test_a_storage_class_that_must_not_be_read_is_said_to_be_forbidden(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks, tmp_path: Path
) -> None:
    cluster.kubectl("create", "serviceaccount", "confined", "-n", namespace)
    cluster.kubectl(
        "create",
        "rolebinding",
        "confined",
        "-n",
        namespace,
        "--clusterrole=admin",
        f"--serviceaccount={namespace}:confined",
    )
    allow_immiches(cluster, namespace, "confined", "get,list", "immiches.media.rm3l.org")
    confined = cluster.kubeconfig_for("confined", namespace, tmp_path)
    cr = instance(namespace, postgres={"persistence": {"storageClass": "fast"}})

    [seen] = play(("observe", {"cr": cr}), kubeconfig=confined)

    classes = [item for item in seen["references"] if item["kind"] == "StorageClass"]
    assert [(item["name"], item["object"], item["forbidden"]) for item in classes] == [("fast", None, True)]


def test_what_must_not_be_read_is_reported_in_the_status_although_the_tasks_have_no_log(
    cluster: Cluster, kind: None, namespace: str, tmp_path: Path
) -> None:
    cluster.kubectl("create", "serviceaccount", "blind", "-n", namespace)
    immiches = "immiches.media.rm3l.org,immiches.media.rm3l.org/status"
    allow_immiches(cluster, namespace, "blind", "get,list,patch", immiches)
    cluster.api.create(instance(namespace))

    status, output = role(cluster.kubeconfig_for("blind", namespace, tmp_path), namespace, tmp_path)

    assert status != 0
    message = f'User "system:serviceaccount:{namespace}:blind" cannot list resource'
    assert message in output
    found = cluster.api.get("Immich", "photos", namespace)["status"]
    assert (found["ready"], found["serverReady"]) == (False, False)
    conditions = {entry["type"]: (entry["status"], entry["reason"]) for entry in found["conditions"]}
    assert conditions == {
        "Ready": ("False", "ReadFailed"),
        "Degraded": ("True", "ReadFailed"),
        "Reconciling": ("False", "ReadFailed"),
        "Stalled": ("True", "ReadFailed"),
    }
    assert all(message in entry["message"] for entry in found["conditions"])


def test_a_kubeconfig_that_leads_nowhere_is_named_by_the_role(tmp_path: Path) -> None:
    status, output = role(tmp_path / "nowhere", "default", tmp_path)

    assert status != 0
    assert f"no usable connection to a Kubernetes API server in {tmp_path / 'nowhere'}" in output


def role(kubeconfig: Path, namespace: str, folder: Path) -> tuple[int, str]:
    """(exit status, what its last task says) of the role for the instance photos, as a runtime of operators runs it."""
    handed_over = json.dumps({"_media_rm3l_org_immich": instance(namespace)})
    tasks = [{"ansible.builtin.import_role": {"name": "media.immich.immich"}}]
    playbook = folder / "role.json"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", str(playbook), "--extra-vars", handed_over],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)}, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    said = (done.stdout + done.stderr).partition("Report what became of it")[2]
    return done.returncode, said.replace('\\"', '"')  # until 2.18, messages come within JSON


def test_without_an_api_server_it_is_said_where_it_was_looked_for(namespace: str, play: RunTasks) -> None:
    elsewhere = {"host": "https://127.0.0.1:1", "api_key": "s3cr3t"}
    steps = [apply_step(manifest("v1", "ConfigMap", namespace))]

    seen, written, planned = play(
        ("observe", {"cr": instance(namespace), **elsewhere}),
        ("apply", {"steps": steps, **elsewhere}),
        ("apply", {"plan": text({"plan": {"steps": steps}}), **elsewhere}),
    )

    said = "API server https://127.0.0.1:1: cannot connect: Connection refused"
    assert (seen.get("failed", False), planned.get("failed", False), written["failed"]) == (False, False, True)
    assert said in seen["problem"]
    assert said in written["msg"]
    assert said in planned["problem"], "its message would be hidden"


def test_apply_does_each_kind_of_step_and_nothing_the_second_time(
    cluster: Cluster, namespace: str, play: RunTasks
) -> None:
    doomed = cluster.api.create(manifest("v1", "ConfigMap", namespace, "doomed"))
    target = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace}
    steps = [
        apply_step(manifest("v1", "ConfigMap", namespace, "applied", data={"k": "{{ 7*7 }}"})),
        {
            "verb": "create",
            "component": "postgres",
            "object": manifest("v1", "Secret", namespace, "made", data={"k": "dg=="}),
        },
        {
            "verb": "merge",
            "component": "x",
            "stage": 1,
            "target": {**target, "name": "applied"},
            "patch": {"data": {"more": "m"}},
        },
        {"verb": "delete", "component": "x", "target": {**target, "name": "doomed", "uid": doomed["metadata"]["uid"]}},
    ]
    [first] = play(("apply", {"steps": steps, "live": NOTHING_THERE}), args=("--diff",))
    live = [cluster.api.find("ConfigMap", "applied", namespace), cluster.api.find("Secret", "made", namespace)]
    mark = cluster.audit.mark()

    [second] = play(("apply", {"steps": steps[:2], "live": text({"objects": live})}))

    assert [(item["verb"], item["changed"], item["error"]) for item in first["results"]] == [
        (verb, True, None) for verb in ("apply", "create", "merge", "delete")
    ]
    assert first["results"][2]["object"]["data"] == {"k": "{{ 7*7 }}", "more": "m"}
    assert cluster.api.find("ConfigMap", "doomed", namespace) is None
    assert "dg==" not in json.dumps(first["diff"])
    assert (second["changed"], [item["object"] for item in second["results"]]) == (False, live)
    assert [entry for entry in cluster.audit.since(mark) if entry.user_agent.startswith(PASS)] == []


def test_the_sections_of_a_plan_are_carried_out_one_by_one_and_what_is_left_is_reported(
    cluster: Cluster, namespace: str, play: RunTasks
) -> None:
    def planned(name: str, section: str, **rest: Any) -> Manifest:
        return apply_step(manifest("v1", "ConfigMap", namespace, name), section=section, **rest)

    steps = [
        planned("a", "valkey"),
        planned("b", "server"),
        planned("c", "clean-up", needs=["server"]),
        planned("d", "clean-up", needs=["valkey"]),
    ]
    plan = text({"plan": {"steps": steps, "state": "present"}})

    [server] = play(("apply", {"plan": plan, "section": "server"}), args=("--diff",))
    [clean_up] = play(("apply", {"plan": server["json"], "section": "clean-up"}), args=("--diff",))

    assert [(item["name"], item["section"]) for item in server["results"]] == [("b", "server")]
    assert (server["done"], server["left"]) == (["server"], ["valkey", "clean-up"])
    assert [item["name"] for item in clean_up["results"]] == ["b", "c"], "d waits for another section"
    assert (clean_up["done"], clean_up["left"]) == (["server", "clean-up"], ["valkey", "clean-up"])
    titles = [entry["before_header"] for entry in clean_up["changes"]]
    assert titles == [f"ConfigMap {namespace}/b (server)", f"ConfigMap {namespace}/c (clean-up)"]
    assert cluster.api.find("ConfigMap", "a", namespace) is None


@pytest.mark.parametrize("maker", ["a pass", "somebody else"])
def test_a_create_that_comes_second_changes_nothing(
    cluster: Cluster, namespace: str, play: RunTasks, maker: str
) -> None:
    def secret(value: str) -> dict[str, Any]:
        return manifest("v1", "Secret", namespace, "made", data={"password": value, value[:1]: value})

    if maker == "a pass":
        play(("apply", {"steps": [{"verb": "create", "object": secret("Zmlyc3Q=")}], "live": NOTHING_THERE}))
    else:
        cluster.api.create(secret("Zmlyc3Q="))
    first = cluster.api.get("Secret", "made", namespace)
    mark = cluster.audit.mark()

    [second] = play(("apply", {"steps": [{"verb": "create", "object": secret("c2Vjb25k")}], "live": NOTHING_THERE}))

    [outcome] = second["results"]
    assert (outcome["changed"], outcome["error"], outcome["object"]) == (False, None, first)
    assert cluster.api.get("Secret", "made", namespace) == first
    sent = [entry for entry in cluster.audit.since(mark) if entry.user_agent.startswith(PASS)]
    assert [(entry.verb, entry.code) for entry in sent] == [("patch", 409), ("get", 200)]


def test_apply_reports_a_refusal_and_continues(cluster: Cluster, namespace: str, play: RunTasks) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = manifest(
        "apps/v1",
        "Deployment",
        namespace,
        spec={"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    )
    cluster.api.create(deployment)
    other = {
        **deployment["spec"],
        "selector": {"matchLabels": {"a": "c"}},
        "template": {**template, "metadata": {"labels": {"a": "c"}}},
    }
    steps = [
        apply_step({**deployment, "spec": other}),
        apply_step(manifest("v1", "ConfigMap", namespace, "fine")),
        apply_step(manifest("v1", "Secret", namespace, "refused", data={"k": "hunter2!"})),
        {
            "verb": "delete",
            "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "namespace": namespace, "uid": "1"},
        },
    ]

    [outcome] = play(("apply", {"steps": steps}))

    immutable, fine, secret, replaced = outcome["results"]
    assert not outcome.get("failed")
    assert (immutable["status_code"], fine["error"], replaced["status_code"]) == (422, None, 409)
    assert "spec.selector of a live Deployment cannot change" in immutable["error"]
    assert f"kubectl delete deployment x -n {namespace} --cascade=orphan" in immutable["error"]
    assert "hunter2" not in secret["error"]
    assert "was replaced or changed since it was read" in replaced["error"]


def test_check_mode_asks_the_api_server_and_stores_nothing(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks
) -> None:
    cluster.api.create(instance(namespace))
    steps = [
        apply_step(manifest("v1", "ConfigMap", namespace, "new")),
        apply_step(manifest("v1", "Service", namespace, "bad", spec={})),
        {"verb": "create", "object": manifest("v1", "Secret", namespace, "made")},
    ]
    status = {"api_version": "media.rm3l.org/v1alpha1", "kind": "Immich", "name": "photos", "namespace": namespace}

    outcome, written = play(
        ("apply", {"steps": steps, "live": NOTHING_THERE}),
        ("k8s_status", {**status, "status": {"ready": True}, "events": [{"reason": "Made"}]}),
        args=("--check",),
    )

    assert [(item["changed"], item["status_code"]) for item in outcome["results"]] == [
        (True, None),
        (False, 422),
        (True, None),
    ]
    assert (written["changed"], written["patch"]) == (True, {"ready": True})
    assert cluster.api.find("ConfigMap", "new", namespace) is None
    assert cluster.api.find("Secret", "made", namespace) is None
    assert "status" not in (cluster.api.find("Immich", "photos", namespace) or {})


def test_routes_go_through_the_openshift_client(
    cluster: Cluster, kind: None, routes: None, namespace: str, play: RunTasks
) -> None:
    route = manifest(
        "route.openshift.io/v1", "Route", namespace, "photos-server", spec={"to": {"kind": "Service", "name": "s"}}
    )
    target = {"apiVersion": "route.openshift.io/v1", "kind": "Route", "name": "photos-server", "namespace": namespace}
    mark = cluster.audit.mark()

    made, seen, merged, refused, gone = play(
        ("apply", {"steps": [apply_step(route)], "live": NOTHING_THERE}),
        ("observe", {"cr": instance(namespace)}),
        ("apply", {"steps": [{"verb": "merge", "target": target, "patch": {"spec": {"path": "/p"}}}]}),
        ("apply", {"steps": [{"verb": "delete", "target": {**target, "uid": "another"}}]}),
        (
            "apply",
            {"steps": [{"verb": "delete", "target": target}, {"verb": "delete", "target": {**target, "name": "none"}}]},
        ),
    )

    assert made["results"][0]["object"]["metadata"]["managedFields"][0]["manager"] == "immich-operator"
    assert seen["apis"]["route"]
    assert [item["kind"] for item in seen["objects"]] == ["Route"]
    assert merged["results"][0]["object"]["spec"]["path"] == "/p"
    assert refused["results"][0]["status_code"] == 409
    assert [item["changed"] for item in gone["results"]] == [True, False]
    writes = [
        entry for entry in cluster.audit.since(mark) if entry.resource == "routes" and entry.namespace == namespace
    ]
    assert all(entry.user_agent.startswith(PASS) for entry in writes)
    assert not [
        entry for entry in cluster.audit.since(mark) if entry.user_agent.startswith(PASS) and "/openapi" in entry.uri
    ]


def status_arguments(namespace: str, **rest: Any) -> Manifest:
    return {
        "api_version": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "name": "photos",
        "namespace": namespace,
        **rest,
    }


def ready(status: str, reason: str, generation: int = 1) -> Manifest:
    return {"type": "Ready", "status": status, "reason": reason, "message": reason, "observedGeneration": generation}


def test_status_is_written_once_with_its_event_and_report(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks
) -> None:
    cr = cluster.api.create(instance(namespace))
    event = {"type": "Warning", "reason": "Waiting", "message": "{{ 7*7 }} " + "m" * 2000}
    status = {"ready": False, "url": "{{ 7*7 }}", "observedGeneration": 1, "conditions": [ready("False", "Waiting")]}
    arguments = status_arguments(namespace, status=status)
    mark = cluster.audit.mark()

    first, second = play(
        ("k8s_status", {**arguments, "events": [event], "report": text({"changed": ["x"]})}),
        ("k8s_status", arguments),
    )

    stored = cluster.api.find("Immich", "photos", namespace)
    assert stored
    assert (first["changed"], second["changed"], first["report"]) == (True, False, {"changed": ["x"]})
    assert stored["status"]["url"] == "{{ 7*7 }}"
    assert stored["status"]["conditions"][0]["observedGeneration"] == 1
    assert stored["status"] == first["result"]["status"] == second["result"]["status"]
    writes = [
        entry
        for entry in cluster.audit.since(mark)
        if entry.user_agent.startswith(PASS) and entry.verb in ("patch", "create")
    ]
    assert [(entry.verb, entry.resource, entry.subresource) for entry in writes] == [
        ("patch", "immiches", "status"),
        ("create", "events", ""),
    ]
    [posted] = cluster.api.list("Event", namespace)
    length = len(posted["message"].encode())
    assert (posted["type"], posted["reason"], length) == ("Warning", "Waiting", 1024)
    assert posted["involvedObject"]["uid"] == cr["metadata"]["uid"]
    assert posted["reportingComponent"] == posted["source"]["component"] == "immich-operator"


def test_status_of_an_outdated_reading_is_computed_again(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks
) -> None:
    outdated = cluster.api.create(instance(namespace))
    cluster.kubectl(
        "patch",
        "immich",
        "photos",
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{"conditions":[{"type":"Theirs","status":"True","reason":"R","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}',
    )

    [result] = play(("k8s_status", status_arguments(namespace, current=outdated, conditions=[ready("True", "Fine")])))

    assert result["changed"]
    assert [item["type"] for item in result["result"]["status"]["conditions"]] == ["Theirs", "Ready"]


def test_failures_fail_the_task_after_the_status_is_written(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks
) -> None:
    cluster.api.create(instance(namespace))

    [result] = play(("k8s_status", status_arguments(namespace, status={"ready": False}, failures=["one", "two"])))

    assert (result["failed"], result["msg"]) == (True, "one; two")
    assert (cluster.api.find("Immich", "photos", namespace) or {})["status"]["ready"] is False


def test_a_failure_that_no_status_reports_fails_the_task_whatever_is_asked_for(
    kind: None, namespace: str, play: RunTasks
) -> None:
    unread = {"status": None, "events": [], "failures": ["immiches is forbidden"], "current": None}

    [result] = play(("k8s_status", status_arguments(namespace, report=text(unread), failures=[])))

    assert (result["failed"], result["msg"]) == (True, "immiches is forbidden")


def test_nobody_needs_the_status_of_what_is_gone(kind: None, namespace: str, play: RunTasks) -> None:
    gone = {
        **instance(namespace),
        "metadata": {"name": "photos", "namespace": namespace, "resourceVersion": "1", "uid": "1"},
    }

    absent, deleted, unknown = play(
        ("k8s_status", status_arguments(namespace, status={"ready": True}, events=[{"reason": "Made"}])),
        ("k8s_status", status_arguments(namespace, status={"ready": True}, current=gone)),
        (
            "k8s_status",
            {
                **status_arguments(namespace, status={"ready": True}),
                "api_version": "nothing.example/v1",
                "kind": "None",
            },
        ),
    )

    assert absent["skipped_reason"] == f"Immich {namespace}/photos does not exist"
    assert deleted["skipped_reason"] == f"Immich {namespace}/photos was deleted in the meantime"
    assert unknown["skipped_reason"] == f"None {namespace}/photos does not exist"
    assert not any(result.get("failed") or result["changed"] for result in (absent, deleted, unknown))


def test_an_event_that_cannot_be_posted_is_a_warning(
    cluster: Cluster, kind: None, namespace: str, play: RunTasks, tmp_path: Path
) -> None:
    cluster.api.create(instance(namespace))
    cluster.kubectl("create", "serviceaccount", "silent", "-n", namespace)
    rules = ("--verb=get,patch", "--resource=immiches.media.rm3l.org,immiches.media.rm3l.org/status")
    cluster.kubectl("create", "role", "silent", "-n", namespace, *rules)
    cluster.kubectl(
        "create", "rolebinding", "silent", "-n", namespace, "--role=silent", f"--serviceaccount={namespace}:silent"
    )
    silent = cluster.kubeconfig_for("silent", namespace, tmp_path)

    [result] = play(
        ("k8s_status", status_arguments(namespace, status={"ready": True}, events=[{"reason": "Made"}])),
        kubeconfig=silent,
    )

    assert (result["changed"], result.get("failed", False)) == (True, False)
    assert "the Event Made could not be posted" in json.dumps(result["warnings"])


MISUSE: list[tuple[str, Manifest, str]] = [
    ("observe", {}, "give either cr or stored"),
    ("observe", {"cr": " {}"}, "cr must be a mapping, not"),
    ("apply", {"plan": {"plan": {"steps": []}}}, "plan must be the `json` of an earlier task's result"),
    ("apply", {"plan": " {}"}, "plan must be what media.immich.plan returned"),
    (
        "apply",
        {"steps": [apply_step(manifest("v1", "ConfigMap", "n"))], "live": ' {"problem": "none there"}'},
        "none there",
    ),
    ("wait", {}, "stored must be"),
    ("show_diff", {"outcome": {}}, "outcome must be the `json` of an earlier task's result"),
    ("observe", {"cr": {"metadata": {"name": "x"}}}, "cr.metadata.namespace must be given"),
    ("observe", {"cr": {}, "crd": 1}, "crd"),
    ("apply", {}, "give either steps or plan"),
    ("apply", {"steps": {}}, "steps must be a list, not"),
    ("apply", {"steps": [{"verb": "x"}]}, "steps[0].verb must be one of"),
    ("k8s_status", {"kind": "x"}, "name"),
    ("k8s_status", {"kind": "x", "name": "x", "events": [{}]}, "events[0] must be a mapping with a reason"),
]


def test_a_text_between_tasks_stays_one_whatever_is_in_it(cluster: Cluster, namespace: str, play: RunTasks) -> None:
    cr = instance(namespace, server={"podAnnotations": {"a": "{{ 7 * 7 }}", "b": "{% raw %}", "c": "true"}})
    tasks = play(("observe", {"cr": cr}), ("observe", {"stored": text({"cr": cr, "is_current": True})}))

    assert [task["given"] for task in tasks] == [cr, cr]
    assert all(isinstance(task["json"], str) for task in tasks)


def test_misuse_is_named(play: RunTasks) -> None:
    results = play(*((action, arguments) for action, arguments, _ in MISUSE))

    unnamed = [
        (action, arguments, result["msg"])
        for (action, arguments, message), result in zip(MISUSE, results, strict=True)
        if not result["failed"] or message not in result["msg"]
    ]
    assert unnamed == []
