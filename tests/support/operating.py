# SPDX-License-Identifier: Apache-2.0
"""Running the operator for tests, and talking about instances on a real API server."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES, IMAGE_VARIABLES
from localcluster.audit import AuditEntry
from localcluster.errors import WaitError
from localcluster.testing import Cluster

from .waiting import DEADLINE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
DEFAULT_ENVIRONMENT = {IMAGE_VARIABLES[component]: image for component, image in DEFAULT_IMAGES.items()}
ENGINE = os.environ.get("IMMICH_TEST_ENGINE", "fork")
QUIET_S = 0.5  # what follows from an event is in the queue by then: the operator gathers events for 0.1 s
OWN_KINDS = (
    "Deployment", "StatefulSet", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "Ingress",
)  # fmt: skip
WORKLOADS = ("server", "machine-learning", "valkey", "postgres")
WRITES = ("create", "update", "patch", "delete", "deletecollection")


def install_crd(cluster: Cluster) -> None:
    """Our kinds. Return when the API server serves the kind Immich."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CRDS))
    cluster.api.wait_served("immiches.media.rm3l.org")


@contextlib.contextmanager
def served(cluster: Cluster, definitions: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Kinds that the cluster has for as long as the context lasts, by their CustomResourceDefinitions."""
    for definition in definitions:
        cluster.api.create(dict(definition))
        cluster.api.wait_served(definition["metadata"]["name"])
    try:
        yield
    finally:
        for definition in definitions:
            cluster.api.delete("CustomResourceDefinition", definition["metadata"]["name"], wait=True)


def _only_this_collection(folder: Path) -> dict[str, str]:
    """Keep a collection that is installed in the home of whoever runs the tests from being tested instead of this one."""
    empty = folder / "collections"
    empty.mkdir(exist_ok=True)
    return {"ANSIBLE_COLLECTIONS_PATH": str(empty)}


def fetch(port: int, path: str) -> tuple[int, str]:
    """(status, body) that a server of this machine answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Operator:
    """`immich-operator run` as a process, its log as it is written, and how to end it."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *args: str,
        environment: Mapping[str, str] | None = None,
        watches: Path | None = ROOT / "watches.yaml",
        engine: str = ENGINE,
    ) -> None:
        """`watches` None: nothing is said of watches and images, so that those of the package are meant."""
        self.log = folder / "operator.log"
        self.run_dir = folder / "run" / f"operator-{os.getuid()}"
        self._lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._is_whole = False
        command = [
            sys.executable, "-m", "immich_operator", "run", *(["--watches-file", str(watches)] if watches else []),
            f"--engine={engine}", "--log-format=json", "--metrics-bind-address=127.0.0.1:0",
            "--health-probe-bind-address=0", "--min-reconcile-period=100ms", "--run-dir", str(folder / "run"), *args,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **cluster.env,
                **(DEFAULT_ENVIRONMENT if watches else {}),
                **_only_this_collection(folder),
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="read the operator's log", daemon=True)
        self._reader.start()

    def lines(self) -> list[dict[str, Any]]:
        """The log so far, one mapping per line; what is no JSON comes as {"msg": line}."""
        with self._changed:
            return list(self._lines)

    def wait_for(self, what: str, found: Callable[[list[dict[str, Any]]], Any], timeout_s: float = DEADLINE_S) -> Any:
        """The first truthy answer of `found`, which is asked for each new line and looks at all so far."""
        with self._changed:
            answer = self._changed.wait_for(lambda: found(self._lines) or self._is_whole, timeout_s)
            if not answer or not (answer := found(self._lines)):
                raise AssertionError(f"{what}: did not happen within {timeout_s} s. The log:\n{self.tail(40)}")
            return answer

    def wait_line(self, msg: str, timeout_s: float = DEADLINE_S, **fields: Any) -> dict[str, Any]:
        """The first line with this message and these fields."""
        found: dict[str, Any] = self.wait_for(
            msg,
            lambda lines: next((ln for ln in lines if ln.get("msg") == msg and fields.items() <= ln.items()), None),
            timeout_s,
        )
        return found

    def wait_pass(self, name: str, reason: str, *, after: int = 0, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """The first pass over `name` that has `reason`, not counting the first `after` passes."""
        found: dict[str, Any] = self.wait_for(
            f"a pass over {name} because of {reason!r}",
            lambda _lines: next((line for line in self.passes(name)[after:] if reason in line["why"]), None),
            timeout_s,
        )
        return found

    def wait_retry(self, name: str, after: int = 1) -> dict[str, Any]:
        """The first pass over `name` that is a retry after so many failures or more; an event may overtake any retry."""

        def is_meant(line: dict[str, Any]) -> bool:
            numbers = [int(reason.removeprefix("retry ")) for reason in line["why"] if reason.startswith("retry ")]
            return any(number >= after for number in numbers)

        found: dict[str, Any] = self.wait_for(
            f"a pass over {name} after {after} failures", lambda _lines: next(filter(is_meant, self.passes(name)), None)
        )
        return found

    def passes(self, name: str, namespace: str | None = None) -> list[dict[str, Any]]:
        """The log lines of passes over one custom resource that have ended, well or not."""
        return [line for line in self._about(name, namespace) if str(line.get("msg", "")).startswith("pass ")]

    def skipped(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """The log lines of passes that were due and not run; only at the log level debug."""
        return [
            line for line in self._about(name, namespace) if str(line.get("msg", "")).startswith("nothing has changed")
        ]

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of /healthz or /readyz, if they are served."""
        return self._fetch("probes", path)

    def metrics(self) -> str:
        """The text of /metrics, if it is served."""
        return self._fetch("metrics", "/metrics")[1]

    def is_idle(self) -> bool:
        """No pass runs, and none is due. What is scheduled for later, a retry or a period, does not count."""
        names = ("workqueue_depth{", "controller_runtime_active_workers{")
        values = [float(line.rpartition(" ")[2]) for line in self.metrics().splitlines() if line.startswith(names)]
        assert len(values) >= len(names), "the metrics have other names than this method knows"
        return not any(values)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit status, once all of the log has been read."""
        status = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return status

    def stop(self) -> int:
        """End it as a kubelet would, and return its exit status."""
        self.process.terminate()
        try:
            return self.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.end()

    def end(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _about(self, name: str, namespace: str | None) -> list[dict[str, Any]]:
        mine = {"name": name, **({} if namespace is None else {"namespace": namespace})}
        return [line for line in self.lines() if mine.items() <= line.items() and "pass_id" in line]

    def _fetch(self, server: str, path: str) -> tuple[int, str]:
        return fetch(self.wait_line("operator started")["ports"][server], path)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output, self.log.open("wb") as log:
            for text in output:
                log.write(text)
                log.flush()
                try:
                    value = json.loads(text)
                except ValueError:
                    value = None
                line = value if isinstance(value, dict) else {"msg": text.decode(errors="replace").rstrip()}
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._is_whole = True
            self._changed.notify_all()


class Instances:
    """Custom resources of one namespace, and what becomes of them."""

    deadline_s = DEADLINE_S

    def __init__(self, cluster: Cluster, namespace: str, operator: Operator | None = None) -> None:
        self.cluster, self.api, self.namespace, self.operator = cluster, cluster.api, namespace, operator

    def create(self, spec: Mapping[str, Any] | None = None, name: str = "photos") -> dict[str, Any]:
        return self.api.create(self.cr(spec, name))

    def cr(self, spec: Mapping[str, Any] | None = None, name: str = "photos") -> dict[str, Any]:
        cr: dict[str, Any] = {
            "apiVersion": "media.rm3l.org/v1alpha1",
            "kind": "Immich",
            "metadata": {"name": name, "namespace": self.namespace},
        }
        return {**cr, "spec": dict(spec)} if spec is not None else cr

    def change(self, spec: Mapping[str, Any], name: str = "photos") -> dict[str, Any]:
        """Merge-patch the spec."""
        return self.api.merge_patch("Immich", name, self.namespace, {"spec": dict(spec)})

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.api.find(kind, name, self.namespace)

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """Look until the condition is truthy; a failure shows the operator's last words."""
        return eventually(what, condition, every=0.1, within=self.deadline_s, beside=self._words)

    def wait_for(self, what: str, name: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The instance as soon as `holds` of it, told by a watch: no state in between is missed. As `Api.wait_for`."""
        try:
            return self.api.wait_for("Immich", name, self.namespace, holds, self.deadline_s)
        except WaitError as error:
            raise AssertionError(f"{what}: {error}\n{self._words()}") from error

    def _words(self) -> str:
        status = (self.get("Immich", "photos") or {}).get("status")
        return f"status: {json.dumps(status, indent=1)}\n{self.operator.tail() if self.operator else ''}"

    def wait_ready(self, name: str = "photos") -> dict[str, Any]:
        """The custom resource once it is ready for its present generation."""

        def ready(cr: dict[str, Any]) -> bool:
            return bool(_is_current(cr) and cr["status"].get("ready"))

        return self.wait_for(f"Immich {name} ready", name, ready)

    def condition(self, kind: str, name: str = "photos") -> dict[str, Any]:
        """A condition of an instance, {} when there is none yet."""
        status = (self.get("Immich", name) or {}).get("status") or {}
        return next((entry for entry in status.get("conditions") or () if entry["type"] == kind), {})

    def wait_condition(self, kind: str, reason: str, name: str = "photos") -> dict[str, Any]:
        """The condition as soon as it has that reason."""

        def found(cr: dict[str, Any]) -> dict[str, Any] | None:
            entries = cr["status"]["conditions"]
            return next((entry for entry in entries if (entry["type"], entry["reason"]) == (kind, reason)), None)

        what = f"condition {kind} of Immich {name} with reason {reason}"
        condition = found(self.wait_for(what, name, lambda cr: found(cr) is not None))
        assert condition
        return condition

    def requests_of_one_more_pass(self, name: str = "photos") -> list[AuditEntry]:
        """What a pass asks the API server that follows from a change of no importance, once nothing is due any more."""
        assert self.operator
        operator = self.operator
        self.wait_settled(name)
        before, mark = len(operator.passes(name, self.namespace)), self.cluster.audit.mark()
        self.cluster.kubectl("annotate", f"immich/{name}", "look=again", "-n", self.namespace)
        self.wait("one more pass", lambda: len(operator.passes(name, self.namespace)) > before)
        return self.cluster.audit.since(mark, user_agent_contains="immich-operator", namespace=self.namespace)

    def wait_settled(self, name: str = "photos") -> None:
        """Until no pass is due any more: the last change has been seen, and nothing has come after its pass."""
        assert self.operator
        operator, passes, since = self.operator, 0, 0.0

        def settled() -> bool:
            nonlocal passes, since
            ended = len(operator.passes(name, self.namespace))
            if not operator.is_idle() or ended != passes:
                passes, since = ended, time.monotonic()
            if not passes or time.monotonic() - since < QUIET_S:
                return False
            return _is_current(self.get("Immich", name) or {})

        self.wait(f"Immich {name} settled", settled)

    def owned(self, name: str = "photos") -> dict[tuple[str, str], dict[str, Any]]:
        """{(kind, name): object} of everything with the instance's label, pods aside."""
        return {
            (kind, manifest["metadata"]["name"]): manifest
            for kind in OWN_KINDS
            for manifest in self.api.list(kind, self.namespace)
            if manifest["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == name
        }

    def let_the_database_find(self, message: str) -> None:
        """Make the present pod of the database one that has looked at its volume and did not let PostgreSQL start."""
        pod = self.wait("the pod of the database", lambda: next(iter(self.pods("postgres")), None))
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": message}}
        said = {"name": "look-at-volume", "image": "x", "imageID": "x", "ready": False, "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}  # fmt: skip
        conditions = [{"type": kind, "status": "False"} for kind in ("Ready", "ContainersReady", "Initialized")]
        status = {"status": {"phase": "Pending", "initContainerStatuses": [said], "conditions": conditions}}
        self.api.merge_patch("Pod", pod["metadata"]["name"], self.namespace, status, subresource="status")

    def pods(self, component: str, name: str = "photos") -> list[dict[str, Any]]:
        """The pods of a component that are not on their way out."""
        labels = f"app.kubernetes.io/instance={name},app.kubernetes.io/component={component}"
        found = self.api.list("Pod", self.namespace, labels=labels)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod_uids(self, name: str = "photos") -> dict[str, set[str]]:
        """{component: uids of its pods}: two of these tell which pods were replaced in between."""
        return {component: {pod["metadata"]["uid"] for pod in self.pods(component, name)} for component in WORKLOADS}

    def wait_rolled(self, before: Mapping[str, set[str]], *components: str, name: str = "photos") -> None:
        """Until the pods of these components are other ones than in `before` and all is ready; no others may be new."""

        def rolled() -> bool:
            now = self.pod_uids(name)
            return all(now[component] and not now[component] & before[component] for component in components)

        self.wait(f"new pods of {', '.join(components)}", rolled)
        self.wait_ready(name)
        now = self.pod_uids(name)
        changed = {component for component in WORKLOADS if now[component] != before[component]}
        assert changed == set(components), f"rolled: {sorted(changed)}, expected: {sorted(components)}"

    def templates(self) -> dict[str, int]:
        """{workload: pod templates it has had}, by its ReplicaSets or ControllerRevisions: 1 means never rolled."""
        revisions = [r for kind in ("ReplicaSet", "ControllerRevision") for r in self.api.list(kind, self.namespace)]
        return dict(Counter(revision["metadata"]["ownerReferences"][0]["name"] for revision in revisions))

    def secret(self, name: str, **values: str) -> dict[str, Any]:
        """Store a Secret of the user's, new or changed."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        metadata = {"name": name, "namespace": self.namespace}
        return self.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def claim(self, name: str, **spec: Any) -> dict[str, Any]:
        """Create a claim of the user's: 10Gi ReadWriteOnce of the default class, but for `spec`."""
        full = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, **spec}
        metadata = {"name": name, "namespace": self.namespace}
        return self.api.create(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": full}
        )

    def events(self, name: str = "photos") -> list[tuple[str, str, str]]:
        """[(type, reason, message)] of the Events about an instance, the oldest first."""
        found = self.api.list(
            "v1/Event", self.namespace, fields=f"involvedObject.kind=Immich,involvedObject.name={name}"
        )
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(event["type"], event["reason"], event["message"]) for event in found]

    def configuration(self, name: str = "photos") -> Any:
        """Immich's settings as the server reads them, from whichever object holds the file; None without one."""
        held = f"{name}-immich-config"
        config_map, secret = self.get("ConfigMap", held), self.get("Secret", held)
        assert not (config_map and secret), "the file is there twice"
        if config_map:
            return yaml.safe_load(config_map["data"]["immich-config.yaml"])
        if secret:
            return yaml.safe_load(base64.b64decode(secret["data"]["immich-config.yaml"]))
        return None


def _is_current(cr: Mapping[str, Any]) -> bool:
    """A pass has reported on the present generation."""
    return (cr.get("status") or {}).get("observedGeneration") == cr.get("metadata", {}).get("generation")


def pod_spec(workload: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template's spec of a Deployment or StatefulSet."""
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def environment(workload: Mapping[str, Any]) -> dict[str, str | None]:
    """{name: value, or secret/key} of the main container; each name is there once."""
    entries = pod_spec(workload)["containers"][0].get("env", [])
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names)), f"a variable is there twice: {names}"
    found: dict[str, str | None] = {}
    for entry in entries:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        found[entry["name"]] = f"{reference['name']}/{reference['key']}" if reference else entry.get("value")
    return found
