# SPDX-License-Identifier: Apache-2.0
"""Runs `immich-operator` as a process over a kind of these tests, and reads its log as it is written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
GROUP = "test.media.rm3l.org"
ENGINE = os.environ.get("IMMICH_TEST_ENGINE", "fork")
DEADLINE_S = 90.0  # only a failing test takes this long, or one on a machine that is busy with others
FAST = ("--retry-first=300ms", "--discovery-period=500ms")


def a_widget(name: str, namespace: str, spec: object = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {} if spec is None else spec,
    }


def watches(**options: Any) -> list[dict[str, Any]]:
    """watches.yaml for Widgets; `options` replace keys."""
    entry = {
        "group": GROUP,
        "version": "v1",
        "kind": "Widget",
        "role": str(HERE / "roles/widget"),
        "manageStatus": False,
        "watchAnnotationsChanges": True,
        "maxRunnerArtifacts": 3,
        "dependents": {
            "selector": "app.kubernetes.io/managed-by=widget-operator",
            "kinds": [{"apiVersion": "v1", "kind": "ConfigMap"}, {"apiVersion": "apps/v1", "kind": "Deployment"}],
        },
        "references": [{"apiVersion": "v1", "kind": "Secret", "paths": ["spec.secretName"]}],
    }
    return [{**entry, **options}]


class Operator:
    """One process. Every wait is for a line of its log, so nothing is polled."""

    def __init__(self, folder: Path, env: Mapping[str, str], *args: str, entries: object = None) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "watches.yaml").write_text(yaml.safe_dump(entries or watches()))
        command = [
            sys.executable, "-m", "immich_operator", "run", "--watches-file", str(folder / "watches.yaml"),
            f"--engine={ENGINE}", "--log-format=json", "--run-dir", str(folder / "run"),
            "--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0", *FAST, *args,
        ]  # fmt: skip
        self.run_dir = folder / "run" / f"operator-{os.getuid()}"
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(command, cwd=HERE.parents[2], env=dict(env), stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, what: str, found: Callable[[list[dict[str, Any]]], Any], timeout_s: float = DEADLINE_S) -> Any:
        """The first truthy answer of `found`, which looks at all lines so far."""
        with self._changed:
            answer = self._changed.wait_for(lambda: found(self.lines) or self._ended(), timeout_s)
            if not answer or not (answer := found(self.lines)):
                raise AssertionError(f"{what}: did not happen within {timeout_s} s. The log:\n{self.tail()}")
            return answer

    def wait_line(self, msg: str, timeout_s: float = DEADLINE_S, **fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.wait_for(msg, lambda lines: line_of(lines, msg, **fields), timeout_s)
        return found

    def wait_pass(self, name: str, reason: str, *, after: int = 0, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """The first pass over `name` that has `reason`, not counting the first `after` passes."""
        found: dict[str, Any] = self.wait_for(
            f"a pass over {name} because of {reason!r}",
            lambda lines: next((line for line in passes(lines, name)[after:] if reason in line["why"]), None),
            timeout_s,
        )
        return found

    def passes(self, name: str) -> list[dict[str, Any]]:
        with self._changed:
            return passes(self.lines, name)

    def probe(self, path: str) -> tuple[int, str]:
        return self._fetch("probes", path)

    def metrics(self) -> str:
        return self._fetch("metrics", "/metrics")[1]

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit status, once all of the log has been read."""
        status = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return status

    def end(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def tail(self, lines: int = 40) -> str:
        return "\n".join(json.dumps(line) for line in self.lines[-lines:])

    def _ended(self) -> bool:
        return self.process.poll() is not None and not self._reader.is_alive()

    def _fetch(self, server: str, path: str) -> tuple[int, str]:
        port = self.wait_line("operator started")["ports"][server]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"msg": text.rstrip()}
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def line_of(lines: list[dict[str, Any]], msg: str, **fields: Any) -> dict[str, Any] | None:
    return next((line for line in lines if line.get("msg") == msg and fields.items() <= line.items()), None)


def passes(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("name") == name and "pass_id" in line and "result" in line]
