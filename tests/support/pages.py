# SPDX-License-Identifier: Apache-2.0
"""Running the commands of a documentation page, in order, as a reader would: in a shell, against a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from hack.docs.blocks import ROOT, Block
from localcluster.testing import Cluster

from .waiting import eventually

ROUTE_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: routes.route.openshift.io}
spec:
  group: route.openshift.io
  names: {kind: Route, listKind: RouteList, plural: routes, singular: route}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
      additionalPrinterColumns:
        - {name: Host, type: string, jsonPath: .spec.host}
        - {name: TLS, type: string, jsonPath: .spec.tls.termination}
"""

ACTIVATE = ". .venv/bin/activate"
OF_AN_ENVIRONMENT = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
COMMAND_TIMEOUT_S = 180.0
OUTPUT_DEADLINE_S = 30.0
_READ_ONLY = re.compile(r"kubectl (get|describe|events|explain)\b")
_AGE = re.compile(r"\b(\d+d)?(\d+h)?(\d+m)?(\d+s)\b|\b\d+[dhm]\b(?!i)")


class PageRun:
    """One page on one cluster: a folder that looks like a clone, and a kubeconfig of its own with a namespace set.

    Commands run by `bash`. `kubectl` is on PATH, and what the machine has. What comes with the project is found only once
    a command of the page has activated the environment, and then to its end, as in a reader's terminal.
    """

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self._last: Block | None = None
        self._printed = ""
        for entry in ROOT.iterdir():
            if not entry.name.startswith("."):
                (folder / entry.name).symlink_to(entry)
        _lend_virtual_environment(folder / ".venv")
        kubeconfig = folder / ".kubeconfig"
        kubeconfig.write_bytes(cluster.kubeconfig.read_bytes())
        kubeconfig.chmod(0o600)
        self._is_active = False
        self.environment: Mapping[str, str] = {
            **{name: value for name, value in cluster.env.items() if name not in OF_AN_ENVIRONMENT},
            "KUBECONFIG": str(kubeconfig),
            "PATH": _without_environment(cluster.env["PATH"]),
            "ANSIBLE_NOCOWS": "1",
            "ANSIBLE_NOCOLOR": "1",
        }
        self.shell(f"kubectl config set-context --current --namespace={namespace}")

    def do(self, block: Block) -> None:
        """What the mark of the block says; AssertionError when it does not come true."""
        if block.mark in {"run", "refused"}:
            self._run(block)
        elif block.mark == "output":
            self._compare(block)
        elif block.mark == "file":
            (self.folder / block.argument).write_text(block.text, encoding="utf-8")
        elif block.mark == "fragment":
            self._try_out(block)
        elif block.mark == "real":
            self._last = block

    def shell(self, script: str, *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script of the test's own as commands of a page run, in the environment: it stops at the first failure,
        also within a pipe.
        """
        return self._bash(f"{ACTIVATE}\n{script}", stdin)

    def _bash(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )

    def _as_reader(self, commands: str) -> subprocess.CompletedProcess[str]:
        done = self._bash(f"{ACTIVATE}\n{commands}" if self._is_active else commands)
        self._is_active = self._is_active or ACTIVATE in commands.splitlines()
        return done

    def _run(self, block: Block) -> None:
        done = self._as_reader(block.text)
        succeeded = done.returncode == 0
        assert succeeded == (block.mark == "run"), (
            f"{block.where}: {block.mark}, but the exit status is {done.returncode}\n"
            f"{block.text}\n{done.stdout}\n{done.stderr}"
        )
        self._last, self._printed = block, done.stdout + ("" if succeeded else done.stderr)

    def _compare(self, block: Block) -> None:
        """What was printed is what the page shows. Commands that only read are asked again until they tell so."""
        assert self._last, f"{block.where}: no commands before this output"
        if self._last.mark == "real":
            return  # these commands were left out here
        pattern = expected(block.text)
        commands = self._last.text
        if pattern.fullmatch(normalised(self._printed)):
            return

        def shown() -> bool:
            if _READ_ONLY.match(commands):
                self._printed = self._as_reader(commands).stdout
            return bool(pattern.fullmatch(normalised(self._printed)))

        eventually(
            f"{block.where}: the page shows\n{block.text}",
            shown,
            within=OUTPUT_DEADLINE_S if _READ_ONLY.match(commands) else 0,
            beside=lambda: f"but it was\n{self._printed}",
        )

    def _try_out(self, block: Block) -> None:
        content = yaml.safe_load(block.text)
        assert "spec" in content or content["kind"] == "Immich", f"{block.where}: a fragment starts with spec:"
        cr = {
            "apiVersion": "media.rm3l.org/v1alpha1",
            "kind": "Immich",
            "metadata": {"name": "fragment"},
            **content,
        }
        done = self.shell("kubectl create --dry-run=server -f -", stdin=yaml.safe_dump(cr))
        assert done.returncode == 0, f"{block.where}: {done.stderr}"
        assert "unknown field" not in done.stderr, f"{block.where}: {done.stderr}"


def _lend_virtual_environment(folder: Path) -> None:
    """The environment of this process under the name that the Makefile uses, and ready, so that make sets up none."""
    folder.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".ready":
            (folder / entry.name).symlink_to(entry)
    (folder / ".ready").touch()


def _without_environment(path: str) -> str:
    """PATH less the folders of this test run's environment."""
    own = {Path(sys.executable).parent.resolve(), (ROOT / ".venv" / "bin").resolve()}
    return os.pathsep.join(part for part in path.split(os.pathsep) if part and Path(part).resolve() not in own)


def normalised(text: str) -> str:
    """Without the widths of columns, ages and blanks around; each line has an end."""
    lines = (_AGE.sub("AGE", re.sub(r"\s+", " ", line.strip())) for line in text.strip().splitlines())
    return "".join(f"{line}\n" for line in lines)


def expected(text: str) -> re.Pattern[str]:
    """A pattern for `normalised` text with a line end; `...` stands for any text, alone on a line for any lines."""
    lines = [
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
        for line in normalised(text).splitlines()
    ]
    return re.compile("".join(lines))
