# SPDX-License-Identifier: Apache-2.0
"""What it would cost an operator to apply components in tasks of their own: `python -m bench.shapes [--rounds N] [--plays N]`.

Each shape is a copy of the role with another tasks/pass.yml. They take turns over one instance of which nothing changes, so
that whatever else the machine does hits all of them. docs/explanation/one-pass.md has the figures and the decision.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES, IMAGE_VARIABLES
from bench import processes
from bench.bed import API_VERSION, KIND, BenchError, a_cluster, an_instance, make_namespaces, namespace_of
from immich_operator.engine import Engine, Play, make_engine
from immich_operator.kube.resources import Kind
from immich_operator.passes.params import extra_vars
from localcluster.testing import Cluster

ROLE = Path(__file__).parents[1] / "roles" / "immich"
NAME = "shapes-0000"
ONE = "one task"
SETTLED_WITHIN_S = 120.0
MODULE = "media.immich.apply"


def shapes() -> dict[str, list[dict[str, Any]]]:
    """{what it is: the tasks of a pass}"""
    tasks = yaml.safe_load((ROLE / "tasks" / "pass.yml").read_text(encoding="utf-8"))
    play = yaml.safe_load((ROLE / "tasks" / "play.yml").read_text(encoding="utf-8"))
    observe, apply, report = tasks
    first = apply[MODULE]["plan"]
    [block] = [task for task in play if any(MODULE in inner for inner in task.get("block", ()))]
    components = block["block"]
    more = {"plan": "{{ immich_outcome.json }}", "live": apply[MODULE]["live"]}
    each = [
        {**task, MODULE: {**more, **({} if position else {"plan": first}), **task[MODULE]}, "no_log": True}
        for position, task in enumerate(components)
    ]
    remembered = {"ansible.builtin.set_fact": {"immich_plan": first}, "no_log": True}
    loop = {
        MODULE: {**more, "plan": "{{ immich_plan }}", "section": "{{ item }}"},
        "loop": [task[MODULE]["section"] for task in components],
        "loop_control": {"label": "{{ item }}"},
        "register": "immich_outcomes",
        "no_log": True,
    }
    # A loop cannot hand on from item to item what came of each, so this much is missing in it.
    of_the_loop = {
        "ansible.builtin.set_fact": {"immich_outcome": "{{ immich_outcomes.results | last }}"},
        "no_log": True,
    }
    skipped = [{**task, "register": "immich_part", "when": "immich_state != 'present'"} for task in each]
    return {
        ONE: tasks,
        "a task for each component": [observe, *each, report],
        "a loop over the components": [observe, remembered, loop, of_the_loop, report],
        "tasks for components that only a play runs": [observe, apply, *skipped, report],
    }


def measure(cluster: Cluster, folder: Path, *, rounds: int, plays: int) -> dict[str, list[tuple[float, float]]]:
    """{shape: [(seconds, CPU seconds) of one play, for each round]}"""
    roles = _roles(folder)
    engine = make_engine(
        "fork",
        base_dir=folder / "engine",
        workers=1,
        preload_roles=list(roles.values()),
        log=logging.getLogger("bench"),
    )
    try:
        identity = _instance(cluster)
        _settle(engine, folder, roles[ONE], identity)
        for shape, role in roles.items():
            _run(engine, folder, role, identity, f"warm-{len(shape)}")
        found: dict[str, list[tuple[float, float]]] = {shape: [] for shape in roles}
        for number in range(rounds):
            for shape in sorted(roles, key=lambda shape: (list(roles).index(shape) + number) % len(roles)):
                cpu = processes.cpu_s(processes.family(os.getpid()))
                took = [_run(engine, folder, roles[shape], identity, f"{number}-{turn}")[0] for turn in range(plays)]
                cpu = processes.cpu_s(processes.family(os.getpid())) - cpu
                found[shape].append((statistics.mean(took), cpu / plays))
    finally:
        engine.close()
    return found


def _roles(folder: Path) -> dict[str, Path]:
    """{shape: the folder of its role}"""
    made = {}
    for number, (shape, tasks) in enumerate(shapes().items()):
        made[shape] = folder / "roles" / f"shape{number}"
        shutil.copytree(ROLE, made[shape])
        (made[shape] / "tasks" / "pass.yml").write_text(yaml.safe_dump(tasks, sort_keys=False), encoding="utf-8")
    return made


def _instance(cluster: Cluster) -> Mapping[str, Any]:
    """What an operator hands over to the role."""
    make_namespaces(cluster, [NAME])
    cluster.api.create(an_instance(NAME))
    cr = cluster.api.get(KIND, NAME, namespace_of(NAME))
    return extra_vars(cr, Kind(API_VERSION, KIND), snake_case=True, unsafe=True, identity_only=True, static={})


def _settle(engine: Engine, folder: Path, role: Path, identity: Mapping[str, Any]) -> None:
    """Until all pods are there and a pass has nothing to do."""
    end = time.monotonic() + SETTLED_WITHIN_S
    quiet = 0
    while quiet < 3:
        if time.monotonic() > end:
            raise BenchError("the instance does not come to rest")
        changed = _run(engine, folder, role, identity, f"settle-{time.monotonic_ns()}")[1]
        quiet = 0 if changed else quiet + 1
        time.sleep(0.5)


def _run(engine: Engine, folder: Path, role: Path, identity: Mapping[str, Any], ident: str) -> tuple[float, int]:
    """(seconds, changed tasks)"""
    play = Play(
        ident=ident, private_data_dir=folder / "runs" / role.name, role=role, identity_only=True, extra_vars=identity
    )
    result = engine.run(play, threading.Event())
    if not result.ok():
        raise BenchError(f"a play failed: {result}")
    return result.duration_s, (result.stats or {}).get("changed", 0)


def table(found: Mapping[str, list[tuple[float, float]]]) -> str:
    """A line per shape: medians, and the medians of the ratios to the one task within each round."""
    lines = [f"{'shape':46}{'play, ms':>10}{'ratio':>8}{'CPU, ms':>10}{'ratio':>8}"]
    for shape, rounds in found.items():
        cells = ""
        for part in (0, 1):
            value = 1000 * statistics.median(one[part] for one in rounds)
            ratio = statistics.median(one[part] / base[part] for one, base in zip(rounds, found[ONE], strict=True))
            cells += f"{value:10.0f}{ratio:8.2f}"
        lines.append(f"{shape:46}{cells}")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare ways to apply components.")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each shape (default %(default)s)")
    parser.add_argument("--plays", type=int, default=5, help="plays per turn (default %(default)s)")
    options = parser.parse_args()
    with a_cluster() as cluster, tempfile.TemporaryDirectory(prefix="immich-bench-") as folder:
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        os.environ |= {variable: DEFAULT_IMAGES[component] for component, variable in IMAGE_VARIABLES.items()}
        print(table(measure(cluster, Path(folder), rounds=options.rounds, plays=options.plays)))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
