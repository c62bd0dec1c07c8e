# SPDX-License-Identifier: Apache-2.0
"""What the zygote loads before it forks, so that a play finds everything in memory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from immich_operator.engine import ansible_internals

__all__ = ["learn", "preload", "watched_files"]

COLLECTIONS = "ansible_collections"
BUILTIN_PLUGINS = {
    "action": ("normal", "assert", "debug", "fail", "include_vars", "set_fact", "validate_argument_spec"),
    "cache": ("memory",),
    "callback": ("default", "awx_display"),
    "strategy": ("linear",),
}
COMPLETE = ("become", "connection", "filter", "inventory", "lookup", "shell", "test", "vars")
"""Kinds of which Ansible itself looks at every plugin in each run, or of which any may be used in a template."""
OF_TEMPLATES = ("filter", "test")
OF_COLLECTIONS = ("action", "filter", "lookup", "test")


def preload(roles: Iterable[Path]) -> None:
    """Import ansible-playbook with its plugins, and the plugins of the collections that `roles` are part of.

    A role that is not part of a collection has nothing to preload: its own plugins are found only while it runs.
    Expects the working directory that the operator has prepared (with an inventory).
    """
    ansible_internals.begin()
    for kind in COMPLETE:
        ansible_internals.load_plugins(kind)
    for kind, names in BUILTIN_PLUGINS.items():
        for name in names:
            _load(kind, name)
    ansible_internals.run_tasks_inline()
    ansible_internals.rehearse()
    for role in roles:
        for kind, name in _plugins_beside(role):
            _load(kind, name)


def learn(modules: Iterable[str]) -> list[str]:
    """Import what a play had to import; returns what is new. Plays import themselves what cannot be imported here."""
    before = set(sys.modules)
    for name in modules:
        if name.startswith("ansible.plugins."):
            _, _, kind, plugin = name.split(".", 3)
            if kind in OF_TEMPLATES:
                continue  # these loaders find plugins by the names of the filters within; all of Ansible's are there
            _load(kind, plugin)
        elif name not in sys.modules:
            _try(importlib.import_module, name)
    return sorted(set(sys.modules) - before)


def watched_files() -> list[tuple[str, int, int]]:
    """(path, mtime in ns, size) of what may change under a running operator: the loaded files of collections.

    Their folders are among them, so that an added or removed plugin is noticed, and Ansible's own release number.
    """
    ansible = Path(sys.modules["ansible"].__file__ or "").parent
    paths = {ansible / "release.py"}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not name.startswith(f"{COLLECTIONS}.") or not file or ansible in Path(file).parents:
            continue
        if Path(file).is_file():  # packages without __init__.py have an artificial name there
            paths |= {Path(file), Path(file).parent}
    statuses = [(path, path.stat()) for path in sorted(paths) if path.exists()]
    return [(str(path), status.st_mtime_ns, status.st_size) for path, status in statuses]


def _plugins_beside(role: Path) -> Iterator[tuple[str, str]]:
    """(kind, full name) of the plugins in the collection that `role` is part of."""
    if len(role.parts) < 6 or role.parts[-5] != COLLECTIONS:
        return
    namespace, collection = role.parts[-4:-2]
    for kind in OF_COLLECTIONS:
        for file in sorted((role.parents[1] / "plugins" / kind).glob("*.py")):
            if not file.name.startswith("_"):
                yield kind, f"{namespace}.{collection}.{file.stem}"


def _load(kind: str, name: str) -> None:
    _try(lambda plugin: ansible_internals.load_plugin(kind, plugin), name)


def _try(load: Callable[[str], Any], name: str) -> None:
    """Import third-party code: whatever it raises, the zygote continues, and the play that needs it will report it."""
    try:
        load(name)
    except Exception as problem:
        print(f"cannot preload {name}: {problem}", file=sys.stderr)
