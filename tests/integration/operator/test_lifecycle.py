# SPDX-License-Identifier: Apache-2.0
"""How an operator starts, stands by, hands over, survives faults of the API server, and ends."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml

from immich_operator.kube.connection import connect, play_environment
from localcluster import build
from localcluster.testing import Cluster
from support.operating import Operator
from support.proxy import Proxy
from support.waiting import eventually
from tests.integration.operator.conftest import StartOperator, Widgets
from tests.integration.operator.widgets import watches

ELECTION = (
    "--leader-elect",
    "--leader-election-id=widgets",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
)

BUDGET_S = 25.0
"""What an operator gives running plays to end; it takes far less when there is nothing to wait for."""
LEASE_S = 10


def until_running(operator: Operator, cluster: Cluster, namespace: str, name: str) -> None:
    """The play of `name` is under way: its first task has made the ConfigMap, its second one takes time."""
    cluster.api.wait_for("ConfigMap", f"{name}-widget", namespace, lambda _: True)


def test_sigterm_while_idle_ends_at_once(start: StartOperator, widgets):
    operator = start()
    widgets.create("one")
    operator.wait_pass("one", "ConfigMap one-widget created")
    began = time.monotonic()

    operator.signal()

    assert operator.wait() == 0
    assert time.monotonic() - began < BUDGET_S
    assert operator.lines()[-1]["msg"] == "stopped"


@pytest.mark.every_engine
def test_sigterm_lets_a_running_play_end(start, widgets: Widgets, cluster, namespace, tmp_path):
    operator = start()
    widgets.create("one", {"goAhead": str(tmp_path / "go")})
    until_running(operator, cluster, namespace, "one")

    operator.signal()
    operator.wait_line("shutting down")
    (tmp_path / "go").touch()

    assert operator.wait() == 0
    assert operator.passes("one")[0]["result"] == "successful"


def test_sigterm_takes_no_new_pass_and_is_not_ready_any_more(start, widgets: Widgets, cluster, namespace, tmp_path):
    operator = start()
    widgets.create("one", {"goAhead": str(tmp_path / "go")})
    until_running(operator, cluster, namespace, "one")

    operator.signal()
    operator.wait_line("shutting down")
    widgets.create("two")

    assert operator.probe("/readyz") == (500, "shutting down\n")
    assert operator.probe("/healthz") == (200, "ok\n")
    (tmp_path / "go").touch()
    assert operator.wait() == 0
    assert operator.passes("two") == []


@pytest.mark.every_engine
def test_a_play_that_outlasts_the_budget_is_killed(start, widgets: Widgets, cluster, namespace):
    operator = start("--graceful-shutdown-timeout=500ms")
    widgets.create("one", {"seconds": 60})
    until_running(operator, cluster, namespace, "one")
    began = time.monotonic()

    operator.signal()

    assert operator.wait() == 0
    assert time.monotonic() - began < BUDGET_S
    assert operator.passes("one")[0]["result"] == "canceled"


@pytest.mark.every_engine
def test_a_second_signal_ends_at_once(start, widgets: Widgets, cluster, namespace):
    operator = start()
    widgets.create("one", {"seconds": 60})
    until_running(operator, cluster, namespace, "one")
    operator.signal()
    operator.wait_line("shutting down")
    began = time.monotonic()

    operator.signal()

    assert operator.wait() == 128 + signal.SIGTERM
    assert time.monotonic() - began < BUDGET_S


@pytest.mark.every_engine
def test_what_a_killed_operator_left_of_a_play_is_removed_by_the_next(start, widgets: Widgets, cluster, namespace):
    operator = start()
    widgets.create("one", {"seconds": 60})
    until_running(operator, cluster, namespace, "one")
    operator.signal(signal.SIGKILL)
    operator.wait()
    (left,) = operator.run_dir.glob("plays/**/one/tmp/*")

    start()

    assert not left.exists()


def test_sigterm_before_the_caches_are_filled_ends_at_once(start, cluster, tmp_path):
    with Proxy(cluster.kubeconfig) as proxy:
        config = proxy.kubeconfig(tmp_path)
        proxy.interrupt()
        operator = start(env={"KUBECONFIG": str(config)}, passes=False)
        operator.wait_line("no connection to the API server, retrying")
        assert operator.probe("/readyz")[0] == 500

        operator.signal()

        assert operator.wait() == 0


@pytest.mark.every_engine
def test_a_play_that_takes_too_long_is_killed_and_retried(start, widgets: Widgets):
    operator = start("--play-timeout=2s")
    widgets.create("one", {"seconds": 60})

    line = operator.wait_pass("one", "created")

    assert (line["result"], line["failures"]) == (
        "timeout", ["the play took too long and was killed; see --play-timeout"],
    )  # fmt: skip
    operator.wait_retry("one")


def lease_of(cluster: Cluster, namespace: str) -> dict:
    return json.loads(cluster.kubectl("get", "lease", "widgets", "-n", namespace, "-o", "json"))["spec"]


@pytest.mark.parametrize(
    ("number", "lease_s"),
    [pytest.param(signal.SIGTERM, 300, id="released"), pytest.param(signal.SIGKILL, 3, id="killed")],
)
def test_the_lease_is_handed_over(number, lease_s, start, widgets: Widgets, cluster, namespace):
    flags = (*ELECTION, f"--leader-elect-lease-duration={lease_s}s", f"--leader-election-namespace={namespace}")
    first = start(*flags, name="first")
    first.wait_line("leading")
    second = start(*flags, name="second", passes=False)
    widgets.create("one")
    first.wait_pass("one", "ConfigMap one-widget created")
    assert second.probe("/readyz") == (200, "ok\n")
    assert second.passes("one") == []
    holder = lease_of(cluster, namespace)["holderIdentity"]

    first.signal(number)
    first.wait()

    second.wait_line("leading")  # long before a lease of 300 s runs out
    # Its reason depends on whether the stand-by's first list came before or after the object.
    second.wait_for("a pass over one by the second", lambda _lines: second.passes("one"))
    lease = lease_of(cluster, namespace)
    assert lease["holderIdentity"] not in ("", holder)
    assert lease["leaseTransitions"] == 1
    assert 'leader_election_master_status{name="widgets"} 1.0' in second.metrics()


def test_a_lease_is_not_released_while_a_pass_may_still_write(start, widgets, cluster, namespace, tmp_path):
    hangs = threading.Event()

    def a_write(path: str) -> bool:
        if path.partition("?")[0].endswith("/widgets/one/status"):
            hangs.set()
            return True
        return False

    with Proxy(cluster.kubeconfig) as proxy:
        proxy.hold = a_write
        operator = start(
            *ELECTION, f"--leader-election-namespace={namespace}", "--graceful-shutdown-timeout=500ms",
            env={"KUBECONFIG": str(proxy.kubeconfig(tmp_path))}, entries=watches(manageStatus=True),
        )  # fmt: skip
        widgets.create("one")
        assert hangs.wait(30)

        operator.signal()

        assert operator.wait() == 0
        assert [line["msg"] for line in operator.lines() if line.get("msg") == "Lease released"] == []
        assert operator.wait_line("a pass could not be stopped")["level"] == "error"
        assert lease_of(cluster, namespace)["holderIdentity"] != ""


@pytest.mark.every_engine
def test_a_leader_that_loses_the_api_server_kills_its_play_before_the_lease_expires(
    start, widgets, cluster, namespace, tmp_path
):
    with Proxy(cluster.kubeconfig) as proxy:
        env = {"KUBECONFIG": str(proxy.kubeconfig(tmp_path))}
        lease = f"--leader-elect-lease-duration={LEASE_S}s"
        operator = start(*ELECTION, lease, f"--leader-election-namespace={namespace}", env=env)
        operator.wait_line("leading")
        widgets.create("one", {"seconds": 60})
        until_running(operator, cluster, namespace, "one")
        began = time.monotonic()

        proxy.interrupt()

        assert operator.wait() == 1
        assert time.monotonic() - began < LEASE_S
        assert operator.passes("one")[0]["result"] == "canceled"
        assert "was lost" in operator.lines()[-1]["error"]


def test_an_api_server_that_restarts_is_waited_for_and_nothing_is_missed(start, widgets, cluster, namespace, tmp_path):
    with Proxy(cluster.kubeconfig) as proxy:
        operator = start(env={"KUBECONFIG": str(proxy.kubeconfig(tmp_path))})
        widgets.create("one")
        operator.wait_pass("one", "ConfigMap one-widget created")

        proxy.interrupt()
        operator.wait_line("no connection to the API server, retrying")
        widgets.create("two")
        cluster.api.delete("ConfigMap", "one-widget", namespace)
        proxy.resume()

        operator.wait_pass("two", "created")
        operator.wait_pass("one", "ConfigMap one-widget deleted")
        operator.wait_line("the API server answers again")
        assert operator.probe("/healthz") == (200, "ok\n")


def test_a_watch_that_is_too_old_leads_to_a_list_that_misses_nothing(start, widgets, cluster, namespace, tmp_path):
    with Proxy(cluster.kubeconfig) as proxy:
        operator = start(env={"KUBECONFIG": str(proxy.kubeconfig(tmp_path))})
        widgets.create("one")
        widgets.create("two")
        operator.wait_pass("one", "ConfigMap one-widget created")
        operator.wait_pass("two", "ConfigMap two-widget created")
        before = len(operator.passes("two"))
        proxy.interrupt()
        operator.wait_line("no connection to the API server, retrying")
        cluster.api.delete("ConfigMap", "one-widget", namespace)
        widgets.delete("two")
        expired: set[str] = set()

        def once(path: str) -> bool:
            """Each resource's next watch is told that its version is gone."""
            resource = path.partition("?")[0]
            return not (resource in expired or expired.add(resource))

        proxy.expire = once
        proxy.resume()

        operator.wait_line("watch is too far behind, listing again", kind=f"ConfigMap in {namespace}")
        operator.wait_pass("one", "ConfigMap one-widget deleted")
        operator.wait_line("gone", name="two")
        assert len(operator.passes("two")) == before


def test_a_missing_permission_is_named_heals_and_does_not_stop_the_rest(
    start, widgets, cluster: Cluster, namespace, tmp_path
):
    def allow(resources: dict[str, list[str]]) -> None:
        rules = [
            {"apiGroups": [group], "resources": kinds, "verbs": ["get", "list", "watch", "create", "patch"]}
            for group, kinds in resources.items()
        ]
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules}
        cluster.api.apply({**role, "metadata": {"name": "widgets", "namespace": namespace}})

    granted = {"test.media.rm3l.org": ["widgets"], "": ["configmaps"], "apps": ["deployments"]}
    allow(granted)
    operator = start(env={"KUBECONFIG": str(restricted_kubeconfig(cluster, namespace, tmp_path))})

    line = operator.wait_line("operator lacks a permission")
    widgets.create("one")

    rule = '{apiGroups: [""], resources: ["secrets"], verbs: ["list", "watch"]}'
    message = f"not allowed to list and watch Secret: add to your Role in namespace {namespace} the rule {rule}"
    assert (line["level"], line["error"]) == ("error", message)
    assert operator.wait_pass("one", "created")["result"] == "successful"
    assert operator.probe("/readyz") == (500, f"Secret in {namespace}: {message}\n")

    allow({**granted, "": ["configmaps", "secrets"]})

    operator.wait_line("watch works again", kind=f"Secret in {namespace}")
    eventually("readiness", lambda: operator.probe("/readyz") == (200, "ok\n"))


def restricted_kubeconfig(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """A kubeconfig of a service account that may do what the Role `widgets` says."""
    cluster.kubectl("create", "serviceaccount", "operator", "-n", namespace)
    cluster.kubectl(
        "create", "rolebinding", "widgets", "-n", namespace, "--role=widgets", f"--serviceaccount={namespace}:operator"
    )
    token = cluster.kubectl("create", "token", "operator", "-n", namespace).strip()
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"] = [{"name": user["name"], "user": {"token": token}} for user in document["users"]]
    path = folder / "restricted.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def test_several_namespaces_are_watched_and_others_are_not(start, widgets, cluster: Cluster, namespace):
    with cluster.namespace("second") as second, cluster.namespace("third") as third:
        operator = start(env={"WATCH_NAMESPACE": f"{namespace}, {second}"})

        for place in (third, second, namespace):
            Widgets(cluster, place).create(f"in-{place}")

        operator.wait_pass(f"in-{namespace}", "created")
        operator.wait_pass(f"in-{second}", "created")
        assert operator.passes(f"in-{third}") == []


def test_a_namespace_that_is_misspelt_is_told_at_the_start(start, widgets, namespace):
    operator = start(env={"WATCH_NAMESPACE": f"{namespace},no-such-namespace"})

    told = [line["namespace"] for line in operator.lines() if line["msg"] == "a namespace to watch does not exist"]

    assert told == ["no-such-namespace"]


@pytest.fixture
def two_contexts(cluster: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig whose context `here` is the cluster; the current one leads nowhere."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    [context] = document["contexts"]
    nowhere = {"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}
    document["clusters"].append(nowhere)
    document["contexts"] = [
        {**context, "name": "here"},
        {"name": "elsewhere", "context": {**context["context"], "cluster": "nowhere"}},
    ]
    path = tmp_path / "two.kubeconfig"
    path.write_text(yaml.safe_dump({**document, "current-context": "elsewhere"}))
    path.chmod(0o600)
    return path


def test_plays_work_on_the_cluster_that_is_watched_whatever_the_current_context_is(start, widgets, two_contexts):
    operator = start("--context=here", env={"KUBECONFIG": str(two_contexts)})

    widgets.create("one")

    assert operator.wait_pass("one", "created")["result"] == "successful"


def test_kubectl_in_a_play_takes_the_same_context(two_contexts, cluster: Cluster, tmp_path):
    connection = connect(str(two_contexts), "here", {})
    env = {**cluster.env, **play_environment(connection, tmp_path, "here")}

    shown = subprocess.run(
        [build.locate("kubectl"), "config", "current-context"], env=env, capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "here"


def test_an_idle_operator_sends_no_request_besides_its_watches(start, widgets, cluster: Cluster, namespace, tmp_path):
    with Proxy(cluster.kubeconfig) as proxy:
        operator = start(env={"KUBECONFIG": str(proxy.kubeconfig(tmp_path))})
        widgets.create("one", annotations={"ansible.sdk.operatorframework.io/reconcile-period": "3s"})
        operator.wait_pass("one", "ConfigMap one-widget created")
        mark = len(proxy.paths)

        operator.wait_pass("one", "period")

        sent = [path for path in proxy.paths[mark:] if not path.startswith("PATCH")]
        assert {path.partition("?")[0].rpartition("/")[2] for path in sent} <= {"one"}, "what the pass is about"


def test_a_variable_says_how_many_plays_of_a_kind_may_run(start):
    operator = start(env={"MAX_CONCURRENT_RECONCILES_WIDGET_TEST_MEDIA_RM3L_ORG": "7"})

    assert operator.wait_line("operator started")["workers"] == 7
    assert 'max_concurrent_reconciles{controller="widget-v1-controller"} 7.0' in operator.metrics()
