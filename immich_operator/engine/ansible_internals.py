# SPDX-License-Identifier: Apache-2.0
"""Everything in the engine that depends on what ansible-core does not guarantee.

No other module of this package imports `ansible`.

With a release that is not among KNOWN_RELEASES, tasks run in their own workers and no process is parked, which is
slower. A release that lacks a name does without.

| Name in `ansible` | Releases | Shown by, in tests/integration/engine |
|---|---|---|
| plugins.strategy.WorkerProcess | all | test_the_tasks_of_a_play_run_in_one_process |
| executor.process.worker.TaskExecutor | until 2.18 | test_everyday_features_of_ansible_work |
| executor.process.worker.AnsibleConnectionFailure | until 2.18 | test_everyday_features_of_ansible_work |
| _internal._task.TaskContext | since 2.19 | test_everyday_features_of_ansible_work |
| cli.playbook.PlaybookCLI.init_parser | all | test_arguments_for_ansible_are_obeyed |
| cli.playbook.PlaybookCLI.cli_executor | all | test_a_failed_play_says_which_task_failed_and_why |
| plugins.loader.init_plugin_loader | all | test_changed_code_is_used_by_the_next_play |
| plugins.loader.PluginLoader.all | all | test_an_import_is_learned_from_the_play_that_needed_it |
| plugins.loader.PluginLoader.get | all | test_an_import_is_learned_from_the_play_that_needed_it |
| utils.collection_loader._collection_finder._get_collection_metadata | all | test_changed_code_is_used_by_the_next_play |
| template.Templar.template | all | test_everyday_features_of_ansible_work |
| template.trust_as_template | since 2.19 | test_everyday_features_of_ansible_work |
| inventory.manager.InventoryManager | all | test_everyday_features_of_ansible_work |
| constants.config.get_config_value | all | test_ansible_reads_the_variables_of_the_play |
| constants.DEFAULT_LOCAL_TMP | all | test_a_secret_is_nowhere_on_disk_and_not_in_the_result |
| executor.task_queue_manager.FinalQueue | all | test_plays_at_once_do_not_get_each_others_results |
| executor.task_queue_manager.PlayIterator | all | test_no_task_runs_in_a_process_that_did_not_wait |
| _internal._rpc_host.LocalManager.shared_instance | since 2.21 | test_plays_at_once_do_not_get_each_others_results |
| parsing.dataloader.DataLoader.set_basedir | all | test_a_play_is_in_its_own_folder |
| parsing.dataloader.DataLoader.load_from_file | all | test_each_play_knows_its_own_variables_only |
| vars.manager.VariableManager.extra_vars | all | test_each_play_knows_its_own_variables_only |

"all" are those of KNOWN_RELEASES. Of objects, these attributes are used: `_FILE_CACHE` of a DataLoader
(test_a_changed_role_is_loaded_again), `_run` of a WorkerProcess, `_shared_instance` of a LocalManager, `_reader` and `_writer`
of a queue of multiprocessing; and `event_context` of ansible-runner's callback awx_display
(test_a_good_play_is_successful_and_counted).
"""

from __future__ import annotations

import base64
import copy
import functools
import inspect
import io
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, ClassVar

# This one first: it prepares Ansible for being a controller.
from ansible.cli.playbook import PlaybookCLI  # isort: skip
from ansible import constants, release
from ansible.errors import AnsibleError
from ansible.executor import task_queue_manager
from ansible.executor.process import worker as worker_module
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader, strategy
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar
from ansible.utils.collection_loader._collection_finder import _get_collection_metadata

try:
    from ansible._internal._task import TaskContext
except ImportError:  # ansible-core 2.18
    TaskContext = None

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 trusts what is not marked unsafe
    trust_as_template = str

try:
    from ansible._internal import _rpc_host
except ImportError:  # before ansible-core 2.21
    _rpc_host = None

__all__ = [
    "KNOWN_RELEASES",
    "CallbackBase",
    "begin",
    "can_park",
    "hold_before_tasks",
    "is_known_release",
    "load_plugin",
    "load_plugins",
    "loaded_files",
    "read_settings_again",
    "rehearse",
    "renew_what_is_shared",
    "run_playbook",
    "run_tasks_inline",
    "send_events_in_band",
    "take_up",
]

KNOWN_RELEASES = ((2, 18), (2, 19), (2, 20), (2, 21))


def is_known_release() -> bool:
    """Whether this is an ansible-core on which the engine's tests have run."""
    return tuple(int(part) for part in release.__version__.split(".")[:2]) in KNOWN_RELEASES


# -- loading


def begin() -> None:
    """What ansible-playbook does before it loads the first plugin."""
    # Each play does this again, as ansible-playbook does; here it only matters that it has been done.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    loader.init_plugin_loader()
    _get_collection_metadata("ansible.builtin")


def load_plugins(kind: str) -> None:
    """Import all plugins of a kind that Ansible ships."""
    for _ in _loader(kind).all(class_only=True):
        pass


def load_plugin(kind: str, name: str) -> None:
    """Import one plugin; raises whatever its code raises."""
    _loader(kind).get(name, class_only=True)


def rehearse() -> None:
    """Do once what each play does at startup: compiled expressions and parsed plugin options stay in caches.

    Expects an inventory in the working directory.
    """
    Templar(loader=DataLoader(), variables={"word": "x"}).template(trust_as_template("{{ word | default('') }}"))
    InventoryManager(loader=DataLoader(), sources=["inventory/hosts"])


def _loader(kind: str) -> Any:
    return getattr(loader, f"{kind}_loader")


# -- running


@functools.cache
def _command_line() -> Any:
    """ansible-playbook's own command line, with a parser that is built once and not in each play."""
    built = PlaybookCLI(["ansible-playbook"])
    built.init_parser()

    class WarmPlaybookCLI(PlaybookCLI):  # type: ignore[misc]
        def init_parser(self) -> None:
            self.parser = built.parser

    return WarmPlaybookCLI


def run_playbook(argv: Sequence[str]) -> int:
    """The exit status of ansible-playbook, run in this process."""
    try:
        _command_line().cli_executor(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


def read_settings_again(local_temp: str) -> None:
    """Update what Ansible has read from the environment at import from the current environment.

    `local_temp`: folder of temporary files. Through the configuration it would be a folder inside this one,
    removed by an atexit handler.
    """
    for name in ("DEFAULT_ROLES_PATH", "INVENTORY_ENABLED"):
        setattr(constants, name, constants.config.get_config_value(name))
    constants.DEFAULT_LOCAL_TMP = local_temp


def send_events_in_band() -> None:
    """Put whole events into the output, where awx_display leaves only a reference to a file that holds the event.

    ansible-runner's OutputEventFilter takes the token's content as the event, so no file is written and read back.
    """
    awx_display = sys.modules["ansible.plugins.callback.awx_display"]
    context = awx_display.event_context
    encoder = awx_display.AnsibleJSONEncoderLocal

    def dump_begin(stream: io.TextIOWrapper) -> None:
        event = json.dumps(context.get_begin_dict(), cls=encoder)
        token = base64.b64encode(event.encode()).decode()
        with context.display_lock:
            stream.write(f"\x1b[K{token}\x1b[{len(token)}D\x1b[K")

    context.dump_begin = dump_begin


# -- tasks in the process of the play


NEED_A_WORKER = frozenset({"add_host", "group_by"})
"""Since 2.21 these ask the strategy something while they run, and wait: in its own process that would be forever."""

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


def run_tasks_inline() -> bool:
    """Make strategies run tasks of localhost in the process of the play, instead of in a fork of it per task.

    Our own strategy plugin would be the clean way, but Ansible 2.19 has deprecated those and walks the whole stack to
    say so in every play. So the class that strategies start workers with is replaced in the zygote. False, and nothing
    is changed, with an unknown ansible-core, or if it does not look as expected.
    """
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
        # A worker changes its host, task and variables, normally in its own copy of the process.
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
        """Nothing to release."""

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


# -- a play that waits before its tasks, and continues in forks


BaseQueue = getattr(task_queue_manager, "FinalQueue", object)


def can_park() -> bool:
    """False with an unknown release of ansible-core."""
    known = is_known_release() and issubclass(BaseQueue, SimpleQueue)
    return known and hasattr(task_queue_manager, "PlayIterator")


def hold_before_tasks(check: Callable[[], None]) -> None:
    """Prepare this process for a play that is forked before its tasks. `check` is called when Ansible reaches them.

    What a fork must not share with its siblings is recreated by `renew_what_is_shared`: the queue of results, which is a
    pipe, and since 2.21 a server of ansible-core that has a thread.
    """
    make = task_queue_manager.PlayIterator

    def checked(*args: Any, **kwargs: Any) -> Any:
        check()
        return make(*args, **kwargs)

    task_queue_manager.FinalQueue = _Queue
    task_queue_manager.PlayIterator = checked
    if _rpc_host is not None:
        _rpc_host.LocalManager._shared_instance = object()  # later: it starts threads


def renew_what_is_shared() -> None:
    """In a fork of a process that stopped before its tasks: stop sharing with it what is used from now on."""
    for queue in _Queue.made:
        queue.renew()
    if _rpc_host is not None:
        _rpc_host.LocalManager._shared_instance = None
        _rpc_host.LocalManager.shared_instance()


def loaded_files(play: Any) -> list[Path]:
    """What Ansible has read for one of its plays (`ansible.playbook.play.Play`)."""
    return [Path(str(name)) for name in play.get_loader()._FILE_CACHE]


def take_up(play: Any, basedir: str, extra_vars: str) -> None:
    """Give a play what it would have known from the start: its own folder, and its variables from that file."""
    files = play.get_loader()
    files.set_basedir(basedir)
    load = files.load_from_file
    trust = {"trusted_as_template": True} if "trusted_as_template" in inspect.signature(load).parameters else {}
    play.get_variable_manager().extra_vars.update(load(extra_vars, **trust))


class _Queue(BaseQueue):  # type: ignore[misc, valid-type]
    """The queue that carries the results of tasks."""

    made: ClassVar[list[_Queue]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)

    def renew(self) -> None:
        """Use a different pipe than the process that this one was forked from."""
        for end in (self._reader, self._writer):
            with suppress(OSError):
                end.close()
        super().__init__()
