# SPDX-License-Identifier: Apache-2.0
"""`make demo`: one Immich instance from scratch to Ready, and what is left of it, on a local Kubernetes.

Everything is temporary: the cluster, the operator's folder, the custom resource. Nothing is left when it ends, or is
interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES, IMAGE_VARIABLES
from localcluster import processes
from localcluster.api import Api
from localcluster.cluster import LocalCluster
from localcluster.errors import LocalClusterError
from localcluster.ports import free_ports
from localcluster.progress import Progress
from localcluster.state import Folder

ROOT = Path(__file__).resolve().parents[1]
CRDS = ROOT / "crds"
NAMESPACE, NAME = "my-ns", "my-immich"
SAMPLE = {
    "apiVersion": "media.rm3l.org/v1alpha1",
    "kind": "Immich",
    "metadata": {"name": NAME, "namespace": NAMESPACE},
}
KINDS = (
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("Service", "v1"),
    ("ConfigMap", "v1"),
    ("Secret", "v1"),
    ("PersistentVolumeClaim", "v1"),
    ("Pod", "v1"),
)
DEADLINE_S = 120.0


class Steps:
    """Names each step while it runs and remembers how long it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.taken: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.console.print(f"[bold]▸ {title}[/bold]")
        start = time.monotonic()
        yield
        self.taken.append((title, time.monotonic() - start))


def main() -> int:
    """Run the demo; 1 if something did not happen in time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="fork", choices=("fork", "process"), help="how the operator runs plays")
    args = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    steps = Steps(console)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="immich-demo-") as scratch:
        local = LocalCluster(Folder(Path(scratch) / "clusters", "demo"))
        try:
            return _run(local, Path(scratch), steps, args.engine)
        except (TimeoutError, LocalClusterError, subprocess.CalledProcessError) as error:
            console.print(str(error), style="red", markup=False)
            _show_tail(console, Path(scratch) / "operator.log")
            return 1
        finally:
            with steps.step("Clean up"):
                local.down()
            _show_times(console, steps)


def _run(local: LocalCluster, scratch: Path, steps: Steps, engine: str) -> int:
    console = steps.console
    with steps.step("Start a Kubernetes control plane with one simulated node"):
        local.up(owner=processes.identify(os.getpid()), progress=Progress())
    api = Api(local.folder.kubeconfig)
    env = {**os.environ, **local.environment()}
    with steps.step("Install the CRD"):
        _kubectl(env, "apply", "-k", str(CRDS))
        api.wait_served("immiches.media.rm3l.org")
    with steps.step("Start the operator"):
        health = free_ports(("health",))["health"]
        operator = _start_operator(scratch, env, engine, health)
    try:
        with steps.step("Wait until it watches everything"):
            _wait(lambda: _answers(health), "the operator to be ready", operator)
        with steps.step(f"Apply an Immich without any spec as {NAMESPACE}/{NAME}"):
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            api.create(SAMPLE)
            applied = time.monotonic()
        with steps.step("Wait until it is Ready"):
            history = _watch_until_ready(api, applied, operator)
        _show_history(console, history)
        console.print(_kubectl(env, "get", "immich", "-n", NAMESPACE), markup=False)
        _show_objects(console, api, "The objects it became")
        with steps.step(
            "Delete the Immich and wait for Kubernetes' garbage collector, which takes 30 s to notice a new kind"
        ):
            api.delete("Immich", NAME, NAMESPACE)
            _wait(
                lambda: len(_objects(api)) == len(_kept(api)),
                "the instance's objects to be garbage collected",
                operator,
            )
        _show_objects(console, api, "What is left: your photos, your database and its password")
    finally:
        _stop(operator)
        api.close()
    return 0


def _kubectl(env: dict[str, str], *args: str) -> str:
    """Standard output of kubectl; what it says on standard error goes to the terminal."""
    return subprocess.run(["kubectl", *args], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


def _answers(port: int) -> bool:
    """True if the operator says that it is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _start_operator(scratch: Path, env: dict[str, str], engine: str, health: int) -> subprocess.Popen[bytes]:
    images = {IMAGE_VARIABLES[component]: image for component, image in DEFAULT_IMAGES.items()}
    options = {
        "--watches-file": ROOT / "watches.yaml",
        "--engine": engine,
        "--run-dir": scratch / "run",
        "--metrics-bind-address": "0",
        "--health-probe-bind-address": f"127.0.0.1:{health}",
    }
    command = [sys.executable, "-m", "immich_operator", "run", *(f"{flag}={value}" for flag, value in options.items())]
    with (scratch / "operator.log").open("wb") as log:
        return subprocess.Popen(
            command, env={**env, **images}, stdout=log, stderr=log, cwd=scratch, start_new_session=True
        )


def _stop(operator: subprocess.Popen[bytes]) -> None:
    operator.terminate()
    try:
        operator.wait(timeout=30)
    except subprocess.TimeoutExpired:
        operator.kill()
        operator.wait()


def _watch_until_ready(api: Api, start: float, operator: subprocess.Popen[bytes]) -> list[tuple[float, str, str]]:
    """[(seconds since it was applied, ready, message)], one entry per different status."""
    history: list[tuple[float, str, str]] = []

    def look() -> bool:
        status = (api.find("Immich", NAME, NAMESPACE) or {}).get("status") or {}
        ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
        if ready and (not history or history[-1][1:] != (ready["status"], ready["message"])):
            history.append((time.monotonic() - start, ready["status"], ready["message"]))
        return bool(status.get("ready"))

    _wait(look, f"Immich {NAME} to be ready", operator)
    return history


def _wait(done: Callable[[], bool], what: str, operator: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not done():
        if operator.poll() is not None:
            raise TimeoutError(
                f"The operator ended with status {operator.returncode} while the demo waited for {what}:"
            )
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {DEADLINE_S:.0f} s for {what}; the end of the operator's log:")
        time.sleep(0.05)


def _objects(api: Api) -> list[dict[str, Any]]:
    """The objects with the instance's label."""
    found = []
    for kind, _ in KINDS:
        for manifest in api.list(kind, NAMESPACE):
            if manifest["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == NAME:
                found.append({**manifest, "kind": kind})
    return found


def _kept(api: Api) -> list[dict[str, Any]]:
    return [manifest for manifest in _objects(api) if not manifest["metadata"].get("ownerReferences")]


def _show_history(console: Console, history: list[tuple[float, str, str]]) -> None:
    table = Table("after", "Ready", "message", title="Its status over time", title_justify="left")
    for seconds, ready, message in history:
        table.add_row(f"{seconds:.2f} s", ready, escape(message))
    console.print(table)


def _show_objects(console: Console, api: Api, title: str) -> None:
    table = Table("kind", "name", "component", title=title, title_justify="left")
    for manifest in _objects(api):
        metadata = manifest["metadata"]
        table.add_row(manifest["kind"], metadata["name"], metadata["labels"].get("app.kubernetes.io/component", ""))
    console.print(table)


def _show_times(console: Console, steps: Steps) -> None:
    table = Table("step", "seconds", title="How long it took", title_justify="left")
    for title, seconds in steps.taken:
        table.add_row(title, f"{seconds:.1f}")
    table.add_row("[bold]all[/bold]", f"[bold]{sum(seconds for _, seconds in steps.taken):.1f}[/bold]")
    console.print(table)


def _show_tail(console: Console, log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    console.print("\n".join(lines[-30:]), markup=False)


if __name__ == "__main__":
    sys.exit(main())
