# SPDX-License-Identifier: Apache-2.0
"""The private data dir of a play: what is written before it runs, and what must be gone afterwards."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_runner.config.runner import RunnerConfig

from immich_operator.engine.base import Play

__all__ = ["START", "clean_up", "folders", "masked", "parking", "prepared", "remove", "write_private"]

START = (sys.executable, "-P", "-m", "ansible.cli.playbook")
"""The interpreter that runs us runs the play too, whatever PATH says; -P keeps project/ off its import path."""
PARKED_CALLBACK = "from immich_operator.engine.parked import CallbackModule\n"

DIR_MODE = 0o700
FILE_MODE = 0o600

SEARCH_PATHS = frozenset({"ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_ROLES_PATH"})
"""Variables in which we prepend something to what the user has set."""
COLLECTIONS_FOLDER = "ansible_collections"
DEFAULT_COLLECTIONS_PATH = "~/.ansible/collections:/usr/share/ansible/collections"


@contextmanager
def prepared(play: Play, base_dir: Path, roles: Sequence[Path] = ()) -> Iterator[RunnerConfig]:
    """Lay out env/, inventory/, project/ and artifacts/, and yield the configuration that ansible-runner runs.

    On the way out everything that holds text of the custom resource or of the environment is removed: the extra vars,
    the temporary files of the play, and the values of variables in `artifacts/<ident>/command`.
    `roles`: roles whose collections every play may use.
    Raises OSError when the folder cannot be written, ansible_runner.ConfigurationError for unusable settings in it.
    """
    root = play.private_data_dir
    temporary = root / "tmp" / play.ident
    own = [root / name for name in ("env", "inventory", "project", "artifacts", "tmp")]
    for folder in (base_dir / "home", root, *own, temporary):
        folder.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
    root.chmod(DIR_MODE)
    extra_vars = root / "env" / "extravars"
    try:
        write_private(extra_vars, json.dumps(dict(play.extra_vars)))
        config = RunnerConfig(
            private_data_dir=str(root),
            ident=play.ident,
            playbook=str(_playbook(play)),
            inventory=_inventory(play),
            envvars=_environment(play, roles, base_dir=base_dir, temporary=temporary),
            cmdline=play.ansible_args or None,
            verbosity=play.verbosity,
            rotate_artifacts=play.rotate_artifacts,
            # Facts live as long as the play: a cache on disk would keep what a role has read from Secrets.
            fact_cache_type="memory",
            quiet=True,
        )
        config.prepare()
        config.command[:1] = START
        # ansible-runner makes this one file world-readable.
        write_private(Path(config.artifact_dir) / "stderr", "")
        yield config
    finally:
        extra_vars.unlink(missing_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        _mask_command(root / "artifacts" / play.ident / "command")


def parking(play: Play, config: RunnerConfig, base_dir: Path) -> dict[str, Any] | None:
    """How to load what this play shares with others of its role, in a separate folder: see `wire.PLAY`.

    None when that is nothing: what is in its files may depend on its variables, or it differs by more than these.
    Raises OSError when the folder cannot be written.
    """
    is_like_others = play.identity_only and not (play.ansible_args or _chosen_inventory(play))
    if play.role is None or not is_like_others:
        return None
    # While it is loaded, a role may ask which variables there are (what it imports may depend on it), not what they say.
    variables = dict.fromkeys(sorted(play.extra_vars))
    common = [START, str(play.role.absolute()), PARKED_CALLBACK, variables]
    digest = hashlib.sha256(json.dumps(common).encode()).hexdigest()
    root = base_dir / "parked" / digest[:16]
    if not root.exists():
        # It must not be visible before it is complete: without the callback the play would not wait.
        made = root.with_name(f"{root.name}-{play.ident}")
        for folder in (made / "inventory", made / "tmp", made / "project" / "callback_plugins"):
            folder.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
        in_common = dataclasses.replace(play, private_data_dir=made)
        _inventory(in_common)
        _playbook(in_common)
        write_private(made / "variables.json", json.dumps(variables))
        write_private(made / "project" / "callback_plugins" / "parked.py", PARKED_CALLBACK)
        try:
            made.rename(root)
        except OSError:  # another play was first
            shutil.rmtree(made)
    project = root / "project"
    verbosity = [f"-{'v' * play.verbosity}"] if play.verbosity else []
    inventory, names = root / "inventory" / "hosts", root / "variables.json"
    argv = ["ansible-playbook", "-i", str(inventory), "-e", f"@{names}", *verbosity, str(project / "play.json")]
    roles_path = config.env["ANSIBLE_ROLES_PATH"]
    return {"argv": argv, "cwd": str(project), "role": str(play.role.absolute()), "roles_path": roles_path}


def folders(root: Path) -> list[Path]:
    """The private data dirs below `root`, at <namespace>/<name>. Links are none of them, wherever they lead."""
    return [folder for folder in root.glob("*/*") if folder.is_dir() and _is_inside(folder, root)]


def remove(folder: Path, root: Path) -> None:
    """Remove a private data dir of `folders`, if it is one: nothing outside of `root`, and nothing behind a link."""
    if _is_inside(folder, root):
        shutil.rmtree(folder, ignore_errors=True)


def _is_inside(folder: Path, root: Path) -> bool:
    """Whether it is exactly two levels below, by no link and no `..`."""
    is_below = folder.parent.parent == root and not {"", ".", ".."} & {folder.name, folder.parent.name}
    return is_below and not folder.parent.is_symlink() and not folder.is_symlink()


def clean_up(root: Path) -> None:
    """Remove what `prepared` would have removed if the operator had not been killed while plays were running.

    `root` is a private data dir in which no play runs. Raises OSError.
    """
    (root / "env" / "extravars").unlink(missing_ok=True)
    for temporary in (root / "tmp").glob("*"):
        shutil.rmtree(temporary, ignore_errors=True)
    for command in (root / "artifacts").glob("*/command"):
        _mask_command(command)


def _mask_command(artifact: Path) -> None:
    """Blank the values of the environment in ansible-runner's record of the command; the names stay."""
    try:
        command = json.loads(artifact.read_text())
    except FileNotFoundError:  # the play ended before ansible-runner got as far as that
        return
    except ValueError:  # the operator was killed while it was written
        artifact.unlink()
        return
    write_private(artifact, json.dumps(masked(command)))


def masked(command: Mapping[str, Any]) -> dict[str, Any]:
    """`{"command", "cwd", "env"}` with the names of the environment only."""
    return {**command, "env": dict.fromkeys(sorted(command["env"]), "")}


def _environment(play: Play, roles: Sequence[Path], *, base_dir: Path, temporary: Path) -> dict[str, str]:
    environment = {
        # A pod's home is often read-only, and what a play leaves in ~/.ansible must not outlive the pod.
        "HOME": str(base_dir / "home"),
        "ANSIBLE_LOCAL_TEMP": str(temporary),
        "ANSIBLE_REMOTE_TMP": str(temporary),
        # Ansible would look below the home of /etc/passwd for what its modules have put below $HOME.
        "ANSIBLE_ASYNC_DIR": str(temporary),
        # Messages become conditions and log fields: no colours, no cowsay, no hint that localhost is implicit.
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
    }
    if _chosen_inventory(play) is None and not play.ansible_args:
        # Ours is in this format; by default six plugins are tried.
        environment["ANSIBLE_INVENTORY_ENABLED"] = "ansible.builtin.ini"
    own = [] if play.role is None else [str(play.role.absolute().parent)]
    if roles_path := [*own, *filter(None, [play.env.get("ANSIBLE_ROLES_PATH")])]:
        environment["ANSIBLE_ROLES_PATH"] = ":".join(roles_path)
    known = {**os.environ, **play.env}.get("ANSIBLE_COLLECTIONS_PATH", DEFAULT_COLLECTIONS_PATH).split(":")
    needed = [_home_of_collection(role.absolute()) for role in (*roles, *filter(None, [play.role]))]
    missing = [home for home in dict.fromkeys(filter(None, needed)) if home not in {*known, *sys.path}]
    if missing or "ANSIBLE_COLLECTIONS_PATH" in play.env:
        environment["ANSIBLE_COLLECTIONS_PATH"] = ":".join([*missing, *known])
    return environment | {name: value for name, value in play.env.items() if name not in SEARCH_PATHS}


def _home_of_collection(role: Path) -> str | None:
    """The folder in which Ansible has to look to find the collection that `role` is part of."""
    if len(role.parts) < 6 or role.parts[-5] != COLLECTIONS_FOLDER:
        return None
    return str(role.parents[4])


def _inventory(play: Play) -> str:
    """Path of the inventory: ANSIBLE_INVENTORY if set, as in the Operator SDK; otherwise localhost with our interpreter."""
    chosen = _chosen_inventory(play)
    if chosen is not None:
        return str(Path(chosen).absolute())
    hosts = play.private_data_dir / "inventory" / "hosts"
    interpreter = shlex.quote(f"ansible_python_interpreter={sys.executable}")
    write_private(hosts, f"localhost ansible_connection=local {interpreter}\n")
    return str(hosts)


def _chosen_inventory(play: Play) -> str | None:
    return play.env.get("ANSIBLE_INVENTORY") or os.environ.get("ANSIBLE_INVENTORY") or None


def _playbook(play: Play) -> Path:
    """The playbook to run; a role gets one of its own, because ansible-runner's role mode ignores how facts are set."""
    if play.playbook is not None:
        return play.playbook.absolute()
    assert play.role is not None  # noqa: S101 - Play has exactly one of both
    if play.identity_only:
        role = {"name": play.role.name, "rolespec_validate": False}
        content: dict[str, Any] = {"tasks": [{"ansible.builtin.import_role": role}]}
    else:
        content = {"roles": [play.role.name]}
    plays = [{"hosts": "localhost", "gather_facts": False, **content}]
    playbook = play.private_data_dir / "project" / "play.json"
    write_private(playbook, json.dumps(plays))
    return playbook


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, FILE_MODE)
        file.write(text)
