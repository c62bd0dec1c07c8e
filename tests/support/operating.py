# SPDX-License-Identifier: Apache-2.0
"""Running the operator for tests, and talking about instances on a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.media.immich.plugins.plugin_utils.images import DEFAULT_IMAGES, IMAGE_VARIABLES
from localcluster.testing import Cluster

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "crds" / "media.rm3l.org_immiches.yaml"
DEFAULT_ENVIRONMENT = {IMAGE_VARIABLES[component]: image for component, image in DEFAULT_IMAGES.items()}
ENGINE = os.environ.get("IMMICH_TEST_ENGINE", "fork")
DEADLINE_S = 60.0
OWN_KINDS = (
    "Deployment", "StatefulSet", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "Ingress",
)  # fmt: skip
WRITES = ("create", "update", "patch", "delete", "deletecollection")


class Operator:
    """`immich-operator run` as a process, its log, and how to end it."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *args: str,
        environment: Mapping[str, str] | None = None,
        engine: str = ENGINE,
    ) -> None:
        self.log = folder / "operator.log"
        self._file = self.log.open("wb")
        command = [
            sys.executable, "-m", "immich_operator", "run", "--watches-file", str(ROOT / "watches.yaml"),
            f"--engine={engine}", "--log-format=json", "--metrics-bind-address=0", "--health-probe-bind-address=0",
            "--run-dir", str(folder / "run"), *args,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**cluster.env, **DEFAULT_ENVIRONMENT, **(environment or {})},
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def lines(self) -> list[dict[str, Any]]:
        """The log so far, one mapping per line; what is no JSON comes as {"text": line}."""
        found: list[dict[str, Any]] = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                value = line
            found.append(value if isinstance(value, dict) else {"text": line})
        return found

    def passes(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """The log lines of finished and failed passes of one instance."""
        return [
            line
            for line in self.lines()
            if "pass_id" in line and line.get("name") == name and line.get("namespace") == namespace
        ]

    def stop(self) -> int:
        """End it as a kubelet would, and return its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._file.close()

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


class Instances:
    """Custom resources of one namespace, and what becomes of them."""

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

    def wait(self, what: str, condition: Callable[[], Any], timeout: float = DEADLINE_S) -> Any:
        """Look until the condition is truthy; a failure shows the operator's last words."""
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                words = self.operator.tail() if self.operator else ""
                status = (self.get("Immich", "photos") or {}).get("status")
                raise AssertionError(
                    f"{what}: not within {timeout:.0f} s.\nstatus: {json.dumps(status, indent=1)}\n{words}"
                )
            time.sleep(0.05)

    def wait_ready(self, name: str = "photos") -> dict[str, Any]:
        """The custom resource once it is ready for its present generation."""

        def ready() -> dict[str, Any] | None:
            cr = self.get("Immich", name)
            status = (cr or {}).get("status") or {}
            is_current = cr and status.get("observedGeneration") == cr["metadata"]["generation"]
            return cr if is_current and status.get("ready") else None

        found: dict[str, Any] = self.wait(f"Immich {name} ready", ready)
        return found

    def condition(self, kind: str, name: str = "photos") -> dict[str, Any]:
        """A condition of an instance, {} when there is none yet."""
        status = (self.get("Immich", name) or {}).get("status") or {}
        return next((entry for entry in status.get("conditions") or () if entry["type"] == kind), {})

    def wait_condition(self, kind: str, reason: str, name: str = "photos") -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            condition = self.condition(kind, name)
            return condition if condition.get("reason") == reason else None

        found: dict[str, Any] = self.wait(f"condition {kind} of Immich {name} with reason {reason}", reached)
        return found

    def wait_settled(self, name: str = "photos") -> None:
        """Until no pass of the instance is due any more: its last one changed nothing and no further one came."""
        assert self.operator
        operator = self.operator

        def settled() -> bool:
            passes = operator.passes(name, self.namespace)
            mark = len(passes)
            if not passes or passes[-1].get("changed"):
                return False
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                if len(operator.passes(name, self.namespace)) != mark:
                    return False
                time.sleep(0.1)
            return True

        self.wait(f"Immich {name} settled", settled)

    def owned(self, name: str = "photos") -> dict[tuple[str, str], dict[str, Any]]:
        """{(kind, name): object} of everything with the instance's label, pods aside."""
        return {
            (kind, manifest["metadata"]["name"]): manifest
            for kind in OWN_KINDS
            for manifest in self.api.list(kind, self.namespace)
            if manifest["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == name
        }
