# SPDX-License-Identifier: Apache-2.0
"""A deployed operator, and instances whose server answers: what people do with them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from localcluster import build
from localcluster.testing import Cluster
from support.operating import Instances
from support.waiting import eventually

__all__ = ["Deployed", "NoAnswer", "Photos"]

ROOT = Path(__file__).parents[2]
DEADLINE_S = 240.0
"""Two busy cores start a database, a server, and all of it once more."""


class NoAnswer(Exception):  # noqa: N818 - what it is, in a test's words
    """A server refused a request with that HTTP status; 0 when it did not answer at all."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status


class Deployed:
    """The operator as its Deployment; by the targets of the Makefile, as a user would."""

    NAMESPACE = "immich-operator-system"
    NAME = "immich-operator-controller-manager"

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.api = cluster, cluster.api

    def make(self, *arguments: str) -> str:
        """A target of the Makefile against the cluster; AssertionError with all it said when it fails."""
        kubectl = build.locate("kubectl")
        done = subprocess.run(
            ["make", "--no-print-directory", f"KUBECTL={kubectl}", *arguments],
            cwd=ROOT,
            env=self.cluster.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"make {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def deploy(self, image: str) -> None:
        """`make deploy`, until a pod of this image is the leader."""
        self.make("deploy", f"IMG={image}")
        self.wait_at_work(image)

    def undeploy(self) -> None:
        self.make("undeploy")
        self.api.wait_gone("Deployment", self.NAME, self.NAMESPACE)

    def pods(self) -> list[dict[str, Any]]:
        """Those that are not on their way out; [] when the namespace is gone."""
        found = self.api.list("Pod", self.NAMESPACE)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_at_work(self, image: str = "") -> str:
        """Name of the pod that holds the Lease and is ready, of that image."""

        def at_work() -> str | None:
            holder = self.leader()
            for pod in self.pods():
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
                own = image in ("", pod["spec"]["containers"][0]["image"])
                if ready and own and holder.startswith(pod["metadata"]["name"]):
                    return str(pod["metadata"]["name"])
            return None

        def words() -> str:
            return f"Lease held by {self.leader()!r}\n{self.log()}"

        return eventually("an operator at work", at_work, within=DEADLINE_S, beside=words)

    def leader(self) -> str:
        """Who holds the Lease; "" when nobody does."""
        lease = self.api.find("Lease", "immich-operator", self.NAMESPACE)
        return str((lease or {}).get("spec", {}).get("holderIdentity") or "")

    def kill(self) -> None:
        """Its pod goes without being asked, as when a node dies."""
        for pod in self.pods():
            self.cluster.kubectl(
                *("delete", "pod", pod["metadata"]["name"], "-n", self.NAMESPACE, "--grace-period=0", "--force")
            )

    def log(self) -> str:
        return self.cluster.kubectl("logs", f"deployment/{self.NAME}", "-n", self.NAMESPACE, "--tail=60")


class Photos(Instances):
    """Instances of one namespace on a real node, and their servers."""

    deadline_s = DEADLINE_S

    def __init__(self, cluster: Cluster, namespace: str, operator: Deployed) -> None:
        super().__init__(cluster, namespace)
        self.deployed = operator

    def ready(self, spec: Mapping[str, Any] | None = None, name: str = "photos") -> dict[str, Any]:
        """Create an instance and wait until it is ready."""
        self.create(spec, name)
        return self.wait_ready(name)

    def url(self, name: str = "photos") -> str:
        """Of the server, by the address of its Service."""
        service = self.api.get("Service", f"{name}-server", self.namespace)
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def ask(self, method: str, path: str, name: str = "photos", *, patience_s: float = 15.0, **arguments: Any) -> bytes:
        """The answer's body to a request to /api/PATH; NoAnswer when there is none, or a refusal.

        Pods are ready a moment before the node leads their Service to them: a connection is tried for `patience_s`.
        """
        refused: list[Exception] = []

        def answered() -> urllib3.BaseHTTPResponse | None:
            try:
                url = f"{self.url(name)}/api/{path}"
                return urllib3.request(method, url, timeout=15.0, retries=False, preload_content=True, **arguments)
            except urllib3.exceptions.NewConnectionError as error:
                refused.append(error)
                return None

        try:
            what = f"a connection to the server of {name}"
            answer = eventually(what, answered, within=patience_s, beside=lambda: str(refused[-1]))
        except (AssertionError, urllib3.exceptions.HTTPError) as error:
            raise NoAnswer(0, str(error)) from error
        if answer.status >= 400:
            raise NoAnswer(answer.status, answer.data.decode(errors="replace"))
        return bytes(answer.data)

    def get_json(self, path: str, name: str = "photos") -> Any:
        return json.loads(self.ask("GET", path, name))

    def answers(self, name: str = "photos") -> bool:
        """The server says that it is there."""
        try:
            return bool(json.loads(self.ask("GET", "server/ping", name, patience_s=0)) == {"res": "pong"})
        except NoAnswer:
            return False

    def upload(self, content: bytes, name: str = "photos", file_name: str = "beach.jpg") -> str:
        """The id of a new asset."""
        fields = {"assetData": (file_name, content, "application/octet-stream")}
        return str(json.loads(self.ask("POST", "assets", name, fields=fields))["id"])

    def download(self, asset: str, name: str = "photos") -> bytes:
        """The original as the server gives it back."""
        return self.ask("GET", f"assets/{asset}/original", name)

    def has(self, asset: str, name: str = "photos", part: str = "original") -> bool:
        """Whether the server gives an original, or what was made of it: `thumbnail`, `video/playback`."""
        try:
            self.ask("GET", f"assets/{asset}/{part}", name)
        except NoAnswer as error:
            if error.status == 404:
                return False
            raise
        return True

    def start_missing_jobs(self, queue: str, name: str = "photos") -> None:
        """As by *Missing* in the list of jobs of the web interface."""
        self.ask("PUT", f"jobs/{queue}", name, json={"command": "start", "force": False})

    def run_in(self, target: str, *command: str, container: str = "") -> str:
        """Output of a command in a container of `target`, such as deployment/photos-server."""
        chosen = ("--container", container) if container else ()
        return self.cluster.kubectl("exec", target, "-n", self.namespace, *chosen, "--", *command)

    def query(self, sql: str, name: str = "photos") -> str:
        """The answer of an instance's own database, asked by its socket."""
        script = 'exec psql -XAtq -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "$0"'
        return self.run_in(f"statefulset/{name}-postgres", "sh", "-c", script, sql, container="postgres").strip()

    def password(self, name: str = "photos") -> str:
        """Of its database, encoded as in the Secret."""
        secret = self.api.get("Secret", f"{name}-postgres-credentials", self.namespace)
        return str(secret["data"]["password"])

    @contextmanager
    def hanging(self, component: str, name: str = "photos") -> Iterator[None]:
        """All processes of a component's container stand still meanwhile; they can be asked, but don't answer."""
        [pod] = self.pods(component, name)
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        listing = self.cluster.local.on_node("ctr", "--namespace", "k8s.io", "tasks", "ps", container)
        pids = [line.split()[0] for line in listing.splitlines()[1:]]
        # What has ended meanwhile, a probe or what the kubelet has ended, is no failure.
        self.cluster.local.on_node("sh", "-c", 'kill -STOP "$@" || true', "sh", *pids)
        try:
            yield
        finally:
            self.cluster.local.on_node("sh", "-c", 'kill -CONT "$@" || true', "sh", *pids)

    def wait_not_ready(self, name: str = "photos") -> dict[str, Any]:
        """The status as soon as it says that the instance is not ready."""

        cr = self.wait_for(f"Immich {name} not ready", name, lambda cr: cr["status"]["ready"] is False)
        status: dict[str, Any] = cr["status"]
        return status
