# SPDX-License-Identifier: Apache-2.0
"""Run the tasks of a play in the process of the play, instead of in a fork of it per task.

A strategy plugin of our own would be the tidy way, but Ansible 2.19 declares those deprecated and walks the whole stack to
say so in every play. So the class that strategies start workers with is replaced in the zygote, only for releases of
ansible-core on which the engine's tests have run, and only where it looks as we know it. Everything else stays as it is.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ansible import release
from ansible.errors import AnsibleError
from ansible.executor.process import worker as worker_module
from ansible.plugins import strategy

try:
    from ansible._internal._task import TaskContext
except ImportError:  # ansible-core 2.18
    TaskContext = None

__all__ = ["KNOWN_RELEASES", "is_known_release", "run_tasks_inline"]

KNOWN_RELEASES = ((2, 18), (2, 19), (2, 20), (2, 21))

NEED_A_WORKER = frozenset({"add_host", "group_by"})
"""Since 2.21 these ask the strategy something while they run, and wait for it: in its own process that would be for ever."""

_PARAMETERS = (
    "final_q",
    "task_vars",
    "host",
    "task",
    "play_context",
    "loader",
    "variable_manager",
    "shared_loader_obj",
)


def is_known_release() -> bool:
    """Whether this is an ansible-core on which the engine's tests have run."""
    return tuple(int(part) for part in release.__version__.split(".")[:2]) in KNOWN_RELEASES


def run_tasks_inline() -> bool:
    """Make strategies run tasks of localhost inline. False, and nothing is changed, with an ansible-core we don't know."""
    process = getattr(strategy, "WorkerProcess", None)
    if not is_known_release() or process is None:
        return False
    signature = inspect.signature(process)
    if not {*_PARAMETERS, "worker_id"} <= signature.parameters.keys():
        return False
    execute = _execute_in_2_18 if TaskContext is None else _execute_since_2_19(process)

    def start_worker(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).arguments
        return _InlineWorker(arguments, execute) if _fits(arguments) else process(*args, **kwargs)

    strategy.WorkerProcess = start_worker
    return True


def _fits(arguments: Mapping[str, Any]) -> bool:
    task = arguments["task"]
    return (
        arguments["host"].name == "localhost"
        and not task.async_val
        and not task.delegate_to
        and str(task.action).rpartition(".")[2] not in NEED_A_WORKER
    )


class _InlineWorker:
    """Looks to a strategy like a worker process that has ended as soon as it was started."""

    pid = None
    exitcode = None
    worker_queue = None

    def __init__(self, arguments: Mapping[str, Any], execute: Callable[[Any], None]) -> None:
        # ansible-core's own methods find the attributes that they know.
        for name in _PARAMETERS:
            setattr(self, f"_{name}", arguments[name])
        self.worker_id = arguments["worker_id"]
        self._execute = execute
        # A worker changes its host, task and variables; it does so in its copy of the whole process.
        self._host: Any = copy.copy(arguments["host"])
        self._task_vars: Any = arguments["task_vars"].copy()
        self._task: Any = arguments["task"].copy(exclude_parent=True, exclude_tasks=True)
        self._task._parent = arguments["task"]._parent

    def start(self) -> None:
        """Run the task; its result goes through the queue, pickled, so that nothing is shared with the strategy."""
        try:
            self._execute(self)
        except SystemExit as end:
            raise AnsibleError(f"the action of task {self._task.get_name()!r} has tried to end its process") from end

    def is_alive(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is held."""

    def terminate(self) -> None:
        """It has ended already."""


def _execute_since_2_19(process: Any) -> Callable[[Any], None]:
    def execute(worker: Any) -> None:
        with _context(worker):
            process._run(worker)

    return execute


def _context(worker: Any) -> AbstractContextManager[Any]:
    if hasattr(TaskContext, "create"):  # since 2.21
        entered = TaskContext.create(task=worker._task, task_vars=worker._task_vars, host_name=worker._host.name)
    else:
        entered = TaskContext(worker._task)
    return entered  # type: ignore[no-any-return]


def _execute_in_2_18(worker: Any) -> None:
    """What WorkerProcess._run does there, without telling Display that it is in a worker."""
    host, task = worker._host, worker._task
    try:
        with Path("/dev/null").open() as nothing:
            result = worker_module.TaskExecutor(
                host,
                task,
                worker._task_vars,
                worker._play_context,
                nothing,
                worker._loader,
                worker._shared_loader_obj,
                worker._final_q,
                worker._variable_manager,
            ).run()
    except worker_module.AnsibleConnectionFailure:
        result = {"unreachable": True}
    worker._final_q.send_task_result(host.name, task._uuid, result, task_fields=task.dump_attrs())
