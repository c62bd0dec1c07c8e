# SPDX-License-Identifier: Apache-2.0
"""Start components and wait until they report that they are ready."""

import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcluster import processes
from localcluster.errors import ComponentError
from localcluster.processes import Process
from localcluster.state import Component, Folder, Record

__all__ = ["Launcher", "Order"]

_LOOK_AGAIN_S = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to start. `health` is the path to ask on `host` and `port`; `tls` says how. `arguments` hold no secrets.

    `prefix` is the beginning of the command line: a program that runs the rest. `program` is one of ours, by its name
    in programs.py, or one on the machine.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    prefix: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    health: str = ""
    tls: bool = True
    env: Mapping[str, str] = field(default_factory=dict)


class Launcher:
    """Starts processes of one cluster; every start is in the record before anything else happens."""

    def __init__(self, folder: Folder, record: Record, programs: Mapping[str, Path], ports: Mapping[str, int]) -> None:
        self.folder = folder
        self.record = record
        self.programs = programs
        self.ports = ports

    def start(self, order: Order) -> Process:
        """Start one component and return at once."""
        program = self.programs.get(order.program) or order.program
        command = (*order.prefix, str(program), *order.arguments)
        command = (shutil.which(command[0]) or command[0], *command[1:])
        log = self.folder.log(order.name)
        process = processes.spawn(command, log=log, env=_environment(order.env))
        self.record.components[order.name] = Component(process, command, str(log), order.port)
        self.record.save(self.folder)
        return process

    def wait(self, order: Order, timeout_s: float = 300.0, ready: Callable[[], bool] | None = None) -> None:
        """Wait until a started component is ready; ComponentError if it ends, or takes longer.

        `ready` is called instead of asking its health address, for components without one.
        """
        component = self.record.components[order.name]
        url = f"{'https' if order.tls else 'http'}://{order.host}:{order.port}{order.health}"
        context = self._tls() if order.tls and ready is None else None
        deadline = time.monotonic() + timeout_s
        log = self.folder.log(order.name)
        while not (ready() if ready else _answers(url, context)):
            # Waiting for its end is the pause between two polls, so a crash is noticed at once.
            if processes.wait_for_exit(component.process, _LOOK_AGAIN_S):
                raise _ended(order.name, log)
            if time.monotonic() > deadline:
                answer = "it was not ready" if ready else f"{url} did not say ok"
                what = f"{order.name} runs, but {answer} within {timeout_s:.0f} s."
                raise ComponentError(what, log=log, tail=processes.tail(log))

    def check_all(self) -> None:
        """ComponentError if one has ended: another process may have answered on its port."""
        for name, component in self.record.components.items():
            if not processes.is_alive(component.process):
                raise _ended(name, self.folder.log(name))

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder.credentials / "ca.crt"))
        context.load_cert_chain(self.folder.credentials / "admin.crt", self.folder.credentials / "admin.key")
        return context


def _ended(name: str, log: Path) -> ComponentError:
    return ComponentError(f"{name} exited during startup.", log=log, tail=processes.tail(log))


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Only what locates files from the caller's environment: settings such as ETCD_NAME would change a component."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE") if name in os.environ}
    return {**kept, **extra}


def _answers(url: str, context: ssl.SSLContext | None) -> bool:
    # No proxy from the environment for an address on this machine.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as failure:
        failure.close()
        return False
    except OSError:
        return False
