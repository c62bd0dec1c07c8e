# SPDX-License-Identifier: Apache-2.0
"""The Operator SDK's Ansible runtime as Dockerfile.ansible-operator puts it together, as a process of this machine.

The program is built from its Go module. The Python environment is that of upstream's image: what the lock file in the
same Go module pins, its plugin for ansible-runner, and the packages that our Dockerfile adds. Both are kept in the
user's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from localcluster import build
from localcluster.locks import locked
from localcluster.programs import OPERATOR_SDK, PROGRAMS, cache_folder
from localcluster.progress import Progress
from support.operating import DEFAULT_ENVIRONMENT, ROOT

ADDED = ROOT / "requirements" / "ansible-operator.txt"
DOCKERFILE = ROOT / "Dockerfile.ansible-operator"
WATCHES = ROOT / "watches.ansible-operator.yaml"
PYTHON = "3.12"
PROXY_PORT, METRICS_API_PORT = 8888, 5050
"""Fixed in its code: --proxy-port moves the listener only, and plays still go to 8888."""
WORKING_FILES = Path("/tmp/ansible-operator/runner/media.rm3l.org")  # noqa: S108 - fixed in its code, never removed by it


class Environment:
    """Folders of a Python environment like that of upstream's image."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.packages = folder / "bin", folder / "packages"

    def variables(self, home: Path) -> dict[str, str]:
        """What our image sets, for this environment, and with the collection and working files in `home`."""
        collections = home / "collections"
        media = collections / "ansible_collections" / "media"
        media.mkdir(parents=True, exist_ok=True)
        if not (media / "immich").exists():
            (media / "immich").symlink_to(ROOT)
        found = dict(
            re.findall(r"(?:^ENV|^   ) ([A-Z0-9_]+)=(\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
        )
        assert {"PYTHONPATH", "ANSIBLE_GATHERING", "ANSIBLE_ROLES_PATH"} <= found.keys(), found
        places = {
            "/opt/immich-operator/packages": str(self.packages),
            "/usr/share/ansible/collections": str(collections),
            "/tmp/.ansible": str(home / ".ansible"),  # noqa: S108 - the container's own
        }
        for place, here in places.items():
            found = {name: value.replace(place, here) for name, value in found.items()}
        return {**found, "ANSIBLE_COLLECTIONS_PATH": str(collections)}


def environment() -> Environment:
    """The environment, made on first use, which takes about a minute."""
    sources = _module_folder() / "images" / "ansible-operator"
    lock = sources / "Pipfile.lock"
    digest = hashlib.sha256(lock.read_bytes() + ADDED.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / "environments" / f"ansible-operator-{PROGRAMS['ansible-operator'].version}-{digest}"
    with locked(folder.parent / "environments.lock"):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, lock, sources / "ansible_runner_http")
            (folder / "ready").touch()
    return Environment(folder)


def _module_folder() -> Path:
    """Where Go keeps the sources of the runtime's module."""
    program = PROGRAMS["ansible-operator"]
    command = [build.check_go([program]), "mod", "download", "-json", f"{OPERATOR_SDK}@{program.version}"]
    done = subprocess.run(command, cwd=program.source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
    return Path(json.loads(done.stdout)["Dir"])


def _make(folder: Path, lock: Path, plugin: Path) -> None:
    Progress().say(f"Making a Python environment as the Operator SDK's image has it in {folder} ...")
    _run([_python(), "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "requirements.txt"
        pinned.write_text("\n".join(_requirements(lock)), encoding="utf-8")
        _run([*pip, "--require-hashes", "--requirement", str(pinned)])
        source = Path(scratch) / "plugin"  # the module's own folder can't be written to, which a build does
        shutil.copytree(plugin, source, copy_function=shutil.copyfile)
        for path in (source, *source.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        _run([*pip, str(source)])
    _run([*pip, "--require-hashes", "--requirement", str(ADDED), "--target", str(folder / "packages")])


def _requirements(lock: Path) -> Iterator[str]:
    """Lines for pip out of a lock file of pipenv: exactly these versions, with their hashes."""
    for name, pin in json.loads(lock.read_text(encoding="utf-8"))["default"].items():
        yield " ".join([f"{name}{pin['version']}", *(f"--hash={digest}" for digest in pin["hashes"])])


def _python() -> str:
    """A Python of the release that the image has."""
    installed = sorted((Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions").glob(f"{PYTHON}.*"))
    for candidate in (f"python{PYTHON}", *(str(folder / "bin" / "python") for folder in installed)):
        with contextlib.suppress(OSError):
            if subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
                return candidate
    raise AssertionError(f"the tests of the Operator SDK's runtime need Python {PYTHON}, as python{PYTHON} or by pyenv")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"


@contextlib.contextmanager
def ports() -> Iterator[None]:
    """The ports that are fixed in the runtime's code, which one process of a machine can have."""

    def on_wait() -> None:
        Progress().say("Waiting for other tests that run the Operator SDK's runtime ...")

    with locked(cache_folder() / "ansible-operator.lock", on_wait=on_wait):
        for port in (PROXY_PORT, METRICS_API_PORT):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise AssertionError(
                        f"port {port} of 127.0.0.1 is taken, and the Operator SDK's runtime can use no other: {error}. "
                        f"End what listens there (`ss -ltnp 'sport = :{port}'` names it)"
                    ) from error
        yield


class OperatorSdk:
    """`ansible-operator run` with our watches, role and environment; `tail` for `support.operating.Instances`."""

    def __init__(
        self, kubeconfig: Path, folder: Path, found: Environment, *args: str, variables: Mapping[str, str] | None = None
    ) -> None:
        program = build.ensure(["ansible-operator"], Progress())["ansible-operator"]
        shutil.rmtree(WORKING_FILES, ignore_errors=True)
        self.log = folder / "ansible-operator.log"
        home = folder / "home"
        home.mkdir()
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(
            [
                str(program), "run", f"--watches-file={WATCHES}", "--metrics-bind-address=127.0.0.1:0",
                "--health-probe-bind-address=127.0.0.1:0", *args,
            ],
            cwd=home,
            env={
                **kept,
                "HOME": str(home),
                "PATH": f"{found.bin}:/usr/local/bin:/usr/bin:/bin",
                "KUBECONFIG": str(kubeconfig),
                **found.variables(home),
                **DEFAULT_ENVIRONMENT,
                **(variables or {}),
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.text().splitlines()[-lines:])

    def text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def plays(self, name: str, namespace: str) -> int:
        """How many plays over a custom resource have ended, well or not."""
        about = (f'"name":"{name}"', f'"namespace":"{namespace}"')
        return sum(
            '"logger":"runner"' in line and '"job":' in line and all(part in line for part in about)
            for line in self.text().splitlines()
        )

    def artifacts(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """The events of the plays that ansible-runner has kept on disk."""
        folder = WORKING_FILES / "v1alpha1" / "Immich" / namespace / name / "artifacts"
        files = [path for path in folder.glob("*/job_events/*.json") if not path.parents[1].is_symlink()]
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(files)]

    def stop(self) -> int:
        """End it as a kubelet would; its exit status. It leaves plays to die with the container, so they are ended too."""
        self.process.terminate()
        try:
            status = self.process.wait(40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
            self._output.close()
            shutil.rmtree(WORKING_FILES, ignore_errors=True)
        return status
