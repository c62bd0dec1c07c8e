# SPDX-License-Identifier: Apache-2.0
"""`immich-operator run`: everything that lives as long as the process, and the order in which it ends."""

from __future__ import annotations

import errno
import logging
import math
import os
import platform
import signal
import socket
import stat
import threading
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, Literal, cast

from immich_operator import __version__
from immich_operator.config import watches as watches_file
from immich_operator.config.options import workers_for
from immich_operator.config.settings import Settings
from immich_operator.config.watches import Watch
from immich_operator.engine import Engine, make_engine
from immich_operator.engine.artifacts import Artifacts
from immich_operator.errors import SettingsError, TransportError
from immich_operator.kube.client import FIELD_MANAGER, ApiObjects, ObjectRef, Transport, permit_of
from immich_operator.kube.connection import Connection, connect, described, own_namespace, play_environment
from immich_operator.passes.controller import Controller
from immich_operator.passes.metrics import Metrics
from immich_operator.passes.workers import Workers
from immich_operator.passes.workqueue import Pace, Queue
from immich_operator.process.assembly import Shared, connect_watch, controller_names
from immich_operator.process.election import Elector, Terms
from immich_operator.process.endpoints import Server, metrics_page, probe_page, spared
from immich_operator.process.memory import Memory, program_digest
from immich_operator.process.permit import Permit
from immich_operator.process.supervisor import Supervisor
from immich_operator.watching.informers import Informers
from immich_operator.watching.reflector import Timing
from immich_operator.watching.triggers import Key

USER_AGENT: Final = f"{FIELD_MANAGER}/{__version__}"
ELECTOR_THREAD: Final = "hold the Lease"
UNUSABLE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
)  # a folder that can't be written to
KILL_S: Final = 5.0  # how long killed plays may take to disappear
END_S: Final = 3.0  # how long the other threads get to end; they only wait for sockets
LOOK_S: Final = 5.0  # how long the start may be held up by what is only told
STUCK_SLACK_S: Final = 60.0  # how much longer than its timeout a play may take before the worker counts as stuck


class Operator:
    """One operator. Make it, `run` it once; `stop` may be set from anywhere, also before it runs."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], log: logging.Logger, stop: threading.Event | None = None
    ) -> None:
        """Reads watches.yaml, finds the API server, binds the ports.

        Raises:
            OperatorError, Misconfigured: with what to change.
        """
        self.stop = stop or threading.Event()
        self._settings = settings
        self._log = log
        self._watches = watches_file.load(settings.watches_file, _with_paths(settings, environ))
        for wish in watches_file.without_effect(self._watches):
            log.warning(
                "a key has no effect: what the role creates is not watched",
                extra={"file": settings.watches_file, **wish},
            )
        connection = connect(settings.kubeconfig, settings.context, environ)
        log.info(
            "operator for this cluster",
            extra={
                **described(connection, settings.context),
                "namespaces": list(settings.watch_namespaces) or "all",
                "watches": settings.watches_file,
            },
        )
        run_dir = private_folder(settings.run_dir)
        self._metrics = Metrics()
        self._limits = {  # by controller: how many of its plays may run at a time
            name: workers_for(watch.kind, environ, settings.workers)
            for name, watch in zip(controller_names(self._watches), self._watches, strict=True)
        }
        self._pool = max(self._limits.values())
        # the engine's warm process has to be started before this process has any threads
        self._engine = _engine(settings, self._watches, run_dir, self._pool, log)
        self._server = str(connection.configuration.host)
        self._whose_role = "your" if connection.kubeconfig else "the operator's"
        transport = partial(
            Transport,
            connection.configuration,
            connection.pool,
            user_agent=USER_AGENT,
            attempts=1,  # each watch and pass has its own back-off, and the Lease a deadline
            on_answer=self._metrics.requests(self._server),
            renew=connection.renew,
        )
        self._permit = Permit()
        self._transport = transport(why_no_writes=permit_of(self._permit.environment))
        self._objects = ApiObjects(self._transport)
        self._lease_objects = ApiObjects(transport())  # a Lease is how writing is permitted
        queue_metrics = self._metrics.queue("passes")
        self._queue: Queue[Key] = Queue(
            _pace(settings),
            observer=queue_metrics,
            lane=lambda key: (key.controller, self._limits[key.controller]),
            tenant=lambda key: key.ref.namespace,
            workers=self._pool,
        )
        queue_metrics.ages(lambda: list(self._queue.running().values()))
        self._supervisor = Supervisor(self.stop, log)
        self._informers = Informers()
        self._controllers = self._connect_watches(environ, connection, run_dir)
        self._memory = self._make_memory(environ)
        self._workers = Workers(self._queue, self._controllers, self._metrics, log)
        self._elector = self._make_elector(environ)
        self._servers = self._open_servers()
        self._gate = threading.Lock()
        self._working = False

    def run(self) -> int:
        """Work until `stop` is set; the exit status: 0, or 1 if a thread was the reason."""
        try:
            self._start()
            self.stop.wait()
        finally:
            status = self._shut_down()
        return status

    def readiness(self) -> list[str]:
        """Why this process is not ready; a standby operator is ready when its caches are."""
        if self.stop.is_set():
            return ["shutting down"]
        unable = dict.fromkeys(controller.unable for controller in self._controllers.values() if controller.unable)
        return [*self._informers.problems(), *(f"no pass can be run: {why}" for why in unable)]

    def liveness(self) -> list[str]:
        """Why this process should be restarted."""
        limit_s = self._settings.play_timeout + STUCK_SLACK_S
        dead = [] if self.stop.is_set() else [f"thread {name!r} is dead" for name in self._supervisor.dead()]
        stuck = [
            f"the pass over {key.ref.namespace}/{key.ref.name} takes {age_s:.0f} s, longer than a play may take"
            for key, age_s in self._queue.running().items()
            if age_s > limit_s
        ]
        return dead + stuck

    def _start(self) -> None:
        for title, server in self._servers.items():
            self._supervisor.start(f"serve {title}", server.run)
        reflectors = self._informers.make(
            self._objects,
            stop=self.stop,
            log=self._log,
            server=self._server,
            whose_role=self._whose_role,
            on_attempt=self._begin_work,
            timing=Timing(discovery_s=self._settings.discovery_period),
        )
        for reflector in reflectors:
            self._supervisor.start(f"reflect {reflector.scope}", reflector.run)
        if self._elector is not None:
            self._supervisor.start(ELECTOR_THREAD, self._elector.run)
        for name, limit in self._limits.items():
            self._metrics.controller_started(name, limit)
        self._log.info(
            "operator started",
            extra={
                "kinds": [str(watch.kind) for watch in self._watches],
                "namespaces": list(self._settings.watch_namespaces) or "all",
                "workers": self._pool,
                "engine": self._settings.engine,
                "ports": {title: server.port for title, server in self._servers.items()},
            },
        )

    def _begin_work(self) -> None:
        """Start the workers once the caches were filled (or were found impossible to fill) and this process leads."""
        with self._gate:
            leading = self._elector is None or self._elector.leading.is_set()
            if self._working or not leading or self.stop.is_set() or not self._informers.attempted():
                return
            self._working = True
        if self._memory is not None:
            self._memory.load()
        knows_all = not self._informers.problems()
        for controller in self._controllers.values():
            controller.clean_up()
            if knows_all:
                controller.sweep()
        if self.stop.is_set() or self._lost_the_lease():
            return
        if self._memory is not None:
            self._supervisor.start("remember what is settled", partial(self._memory.run, self.stop))
        problems = ["no connection to the API server"] if self._informers.is_cut_off() else self._informers.problems()
        self._tell_of_missing_namespaces()
        self._log.info("passes begin", extra={"problems": problems})
        for number in range(1, self._pool + 1):
            self._supervisor.start(f"worker {number}", self._workers.run)

    def _tell_of_missing_namespaces(self) -> None:
        """A list in a namespace that is misspelt is empty, which tells nothing. In a cluster the roles do not allow to look."""
        if self._whose_role != "your" or self._informers.is_cut_off():
            return
        for name in self._settings.watch_namespaces:
            try:
                is_there = self._objects.within(LOOK_S).find(ObjectRef("v1", "Namespace", name)) is not None
            except TransportError:
                continue
            if not is_there:
                self._log.warning("a namespace to watch does not exist", extra={"namespace": name})

    def _shut_down(self) -> int:
        """Not ready -> no new passes -> running plays end or are killed -> the Lease is free -> everything else."""
        self.stop.set()
        self._queue.close()
        # whoever has lost the Lease must not write any more: the next holder may start any second
        budget_s = 0.0 if self._lost_the_lease() else self._settings.graceful_shutdown_timeout
        self._log.info("shutting down", extra={"running": len(self._queue.running()), "budget_s": budget_s})
        still_working = self._stop_workers(budget_s)
        if self._memory is not None and self._working and not self._lost_the_lease():
            self._memory.save()
        if self._elector is not None:
            self._elector.finish(release=not still_working)
        self._informers.wake()
        for server in self._servers.values():
            server.close()
        self._supervisor.join(END_S)
        self._engine.close()
        self._permit.close()
        self._transport.close()
        failure = self._supervisor.failure
        self._log.info("stopped", extra={"error": str(failure) if failure else ""})
        return 1 if failure else 0

    def _stop_workers(self, budget_s: float) -> list[str]:
        """Let passes end, then kill their plays; returns the threads that may keep writing even so."""
        if not self._supervisor.join(budget_s, prefix="worker"):
            return []
        self._workers.cancel.set()
        if self._supervisor.join(KILL_S, prefix="worker"):
            self._engine.close()  # ends what it is still running
        left = self._supervisor.join(END_S, prefix="worker")
        for name in left:
            self._log.error("a pass could not be stopped", extra={"thread": name})
        return left

    def _lost_the_lease(self) -> bool:
        if self._elector is None or not self._working:
            return False
        return not self._elector.leading.is_set() or ELECTOR_THREAD in self._supervisor.dead()

    def _connect_watches(
        self, environ: Mapping[str, str], connection: Connection, run_dir: Path
    ) -> dict[str, Controller]:
        shared = Shared(
            settings=self._settings,
            environ=environ,
            objects=self._objects,
            engine=self._engine,
            artifacts=Artifacts(each=self._settings.artifacts_size_each, whole=self._settings.artifacts_size),
            queue=self._queue,
            informers=self._informers,
            metrics=self._metrics,
            log=self._log,
            play_env={
                **play_environment(connection, run_dir, self._settings.context),
                **_path_variables(self._settings),
                **self._permit.environment,
            },
            play_folder=run_dir / "plays",
            started=lambda: self._working,
        )
        return {
            name: connect_watch(watch, name, shared) for name, watch in zip(self._limits, self._watches, strict=True)
        }

    def _make_memory(self, environ: Mapping[str, str]) -> Memory | None:
        """None outside a cluster, where it has no namespace."""
        namespace = self._settings.leader_election_namespace or own_namespace(environ)
        if not namespace:
            return None
        return Memory(
            self._objects,
            namespace=namespace,
            name=f"{self._settings.leader_election_id}-settled",
            program=program_digest(
                self._watches, {**environ, **_path_variables(self._settings)}, self._settings.ansible_args
            ),
            settled={name: controller.settled for name, controller in self._controllers.items()},
            log=self._log,
        )

    def _make_elector(self, environ: Mapping[str, str]) -> Elector | None:
        settings = self._settings
        if not settings.leader_elect:
            self._permit.until(math.inf)
            return None
        namespace = settings.leader_election_namespace or own_namespace(environ)
        if not namespace:
            raise SettingsError("leader election outside a cluster needs --leader-election-namespace")
        terms = Terms(
            namespace=namespace,
            name=settings.leader_election_id,
            identity=f"{platform.node()}_{uuid.uuid4()}",
            lease_s=settings.leader_elect_lease_duration,
            renew_deadline_s=settings.leader_elect_renew_deadline,
            retry_s=settings.leader_elect_retry_period,
        )
        self._metrics.leader(terms.name, leading=False)

        def changed(leading: bool) -> None:
            self._metrics.leader(terms.name, leading=leading)
            if leading:
                # not here: it reads files and asks the API server, while the Lease has to be renewed
                self._supervisor.start("begin work", self._begin_work, ends=True)
            else:
                self._workers.cancel.set()  # the next leader may start soon, and one of two must not write

        return Elector(
            self._lease_objects,
            terms,
            stop=self.stop,
            log=self._log,
            on_change=changed,
            permit=self._permit.until,
        )

    def _open_servers(self) -> dict[str, Server]:
        servers = {}
        if address := self._settings.health_probe_bind_address:
            pages = {"/healthz": probe_page(self.liveness), "/readyz": probe_page(self.readiness)}
            servers["probes"] = Server(address, pages, setting="--health-probe-bind-address", log=self._log)
        if address := self._settings.metrics_bind_address:
            pages = {"/metrics": spared(metrics_page(self._metrics.registry))}
            servers["metrics"] = Server(address, pages, setting="--metrics-bind-address", log=self._log)
        return servers


def run(settings: Settings, environ: Mapping[str, str], log: logging.Logger) -> int:
    """Run an operator in the main thread until SIGTERM or SIGINT; a second signal ends the process at once."""
    stop = threading.Event()
    received: list[int] = []
    # Python calls `on_signal` when the main thread gets around to it. A thread on its way into `stop.wait()` may have
    # passed the last check for signals, and would then never wake up. What is written to this socket arrives at once.
    signals, written = socket.socketpair()
    written.setblocking(False)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            os._exit(128 + number)

    def stop_on_signal() -> None:
        while number := signals.recv(1):
            if stop.is_set():
                os._exit(128 + number[0])
            stop.set()

    reader = threading.Thread(target=stop_on_signal, name="stop on a signal", daemon=True)
    # first, so that a signal during startup leads to an orderly shutdown too
    signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        operator = Operator(settings, environ, log, stop)
        reader.start()
        return operator.run()
    finally:
        signal.set_wakeup_fd(-1)
        written.close()
        if reader.is_alive():
            reader.join()  # there is nothing more to read
        signals.close()


def private_folder(path: Path) -> Path:
    """A folder below `path` that only this user can enter.

    Raises:
        SettingsError: it cannot be created, or it belongs to somebody else.
    """
    folder = path / f"operator-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = folder.lstat()
    except OSError as exc:
        raise SettingsError(f"--run-dir: {folder} cannot be created ({exc.strerror})") from exc
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise SettingsError(f"--run-dir: {folder} is not a folder that only this user can enter; remove it")
    return folder


def _engine(settings: Settings, watches: tuple[Watch, ...], run_dir: Path, workers: int, log: logging.Logger) -> Engine:
    roles = [watch.role for watch in watches if watch.role is not None]
    kind = cast("Literal['fork', 'process']", settings.engine)
    try:
        return make_engine(
            kind,
            base_dir=run_dir / "engine",
            workers=workers,
            preload_roles=roles,
            log=log,
            memory=settings.play_memory,
        )
    except OSError as exc:
        if exc.errno not in UNUSABLE:
            raise
        remedy = "free space on its volume, or choose another folder"
        raise SettingsError(f"--run-dir: {run_dir} cannot be written to ({exc.strerror}); {remedy}") from exc


def _pace(settings: Settings) -> Pace:
    return Pace(
        window_s=settings.settle_time,
        window_max_s=settings.settle_time_max,
        retry_first_s=settings.retry_first,
        retry_max_s=settings.retry_max,
    )


def _path_variables(settings: Settings) -> dict[str, str]:
    found = {
        "ANSIBLE_ROLES_PATH": settings.ansible_roles_path,
        "ANSIBLE_COLLECTIONS_PATH": settings.ansible_collections_path,
    }
    return {name: value for name, value in found.items() if value}


def _with_paths(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    return {**environ, **_path_variables(settings)}
