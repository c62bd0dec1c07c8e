# SPDX-License-Identifier: Apache-2.0
"""`make bench`: what the operator costs, with both engines in the same run, on a local Kubernetes with simulated nodes.

Each number of custom resources gets its own cluster and operator, which are removed afterwards. The column `script` is
what it takes to apply the same objects without an operator.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from bench import plays, plot, report, scenarios, script
from bench.bed import BenchError, a_bed, a_cluster
from bench.figures import Figure, Key, medians
from localcluster.errors import LocalClusterError

ENGINES: tuple[plays.Kind, ...] = ("fork", "process")
SCRIPT = "script"
COLUMNS = (*ENGINES, SCRIPT)
PICTURE = "performance.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure; sizes are numbers of custom resources."""

    columns: Sequence[str]
    created: frozenset[int]
    idle: frozenset[int]
    process_limit: int
    repeats: int
    idle_s: float
    plays: int
    endurance: int

    def sizes(self, column: str) -> list[int]:
        """Of the clusters whose custom resources are created at once."""
        if column == SCRIPT:
            return sorted(self.created - {1})
        limit = self.process_limit if column == "process" else sys.maxsize
        return sorted(size for size in (self.created - {1}) | (self.idle - {0}) if size <= limit)


def main() -> int:
    """Measure and show; 1 if something could not be measured; earlier results are kept."""
    args = _parser().parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.load:
        results, status = report.Results.from_json(args.load.read_text(encoding="utf-8")), 0
    else:
        results = report.Results.new(args.engine)
        status = _measure_all(results, _plan(args), args.json, console)
    console.print(report.table(results))
    if args.report and status == 0:
        picture = args.report.parent / PICTURE
        plot.draw(results.engines, picture)
        report.write_page(args.report, report.markdown(results, picture.name))
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--engine", type=columns, default=COLUMNS,
        help=f"engines to compare, separated by commas; {SCRIPT} stands for none (default: {','.join(COLUMNS)})")  # fmt: skip
    add("--crs", type=sizes, default="1,20,100", help="custom resources created at once (default: %(default)s)")
    add("--idle", type=sizes, default="0,20,100,1000", help="custom resources while idle (default: %(default)s)")
    add("--process-limit", type=int, default=20, metavar="N",
        help="most custom resources for the engine `process`, which takes an hour for 1000 (default: %(default)s)")  # fmt: skip
    add(
        "--repeats",
        type=int,
        default=7,
        metavar="N",
        help="repetitions, of which the median is taken (default: %(default)s)",
    )
    add(
        "--idle-seconds", type=float, default=30.0, metavar="S", help="to measure for while idle (default: %(default)s)"
    )
    add("--plays", type=int, default=20, metavar="N", help="bare plays for the rate of plays (default: %(default)s)")
    add("--endurance", type=int, default=0, metavar="N",
        help="passes of the engine `fork`, to see if memory grows; 10000 take half an hour (default: %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the results to this file after each step")
    add("--report", type=Path, metavar="PAGE", help="write tables into this page, and a plot next to it")
    add("--load", type=Path, metavar="FILE", help="measure nothing, use what --json has written")
    return parser


def columns(text: str) -> list[str]:
    chosen = [column for column in COLUMNS if column in text.split(",")]
    if unknown := set(text.split(",")) - set(COLUMNS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(COLUMNS)}")
    return chosen


def sizes(text: str) -> frozenset[int]:
    return frozenset(int(size) for size in text.split(",") if size)


def _plan(args: argparse.Namespace) -> Plan:
    return Plan(
        columns=args.engine,
        created=args.crs,
        idle=args.idle,
        process_limit=args.process_limit,
        repeats=args.repeats,
        idle_s=args.idle_seconds,
        plays=args.plays,
        endurance=args.endurance,
    )


def _measure_all(results: report.Results, plan: Plan, target: Path | None, console: Console) -> int:
    for column in plan.columns:
        try:
            steps = _measure_script(plan) if column == SCRIPT else _measure(cast("plays.Kind", column), plan)
            for title, figures in steps:
                console.print(f"{time.strftime('%H:%M:%S')} {column}: {title}")
                results.engines[column] += figures
                if target:
                    target.write_text(results.as_json(), encoding="utf-8")
        except (BenchError, LocalClusterError, ValueError) as error:
            console.print(str(error), style="red", markup=False)
            return 1
    return 0


def _measure(engine: plays.Kind, plan: Plan) -> Iterator[tuple[str, list[Figure]]]:
    """(what has been done, what was found)"""
    if 0 in plan.idle or 1 in plan.created:
        yield from _few(engine, plan)
    for size in plan.sizes(engine):
        yield from _many(engine, plan, size)
    if engine == "fork" and plan.endurance:
        with a_bed(engine) as bed:
            yield f"{plan.endurance} passes", scenarios.endurance(bed, plan.endurance)
    yield "bare plays", _plays(engine, plan.plays)


def _measure_script(plan: Plan) -> Iterator[tuple[str, list[Figure]]]:
    """Like `_measure`, for what needs no operator."""
    with a_cluster() as cluster:
        script.create(cluster, [scenarios.WARM_UP], scenarios.timeout_s(1))
        if 1 in plan.created:
            names = scenarios.singles(plan.repeats)
            found = [script.create(cluster, [name], scenarios.timeout_s(1)) for name in names]
            yield "applied one by one", medians(found)
    for size in plan.sizes(SCRIPT):
        with a_cluster() as cluster:
            script.create(cluster, [scenarios.WARM_UP], scenarios.timeout_s(1))
            yield f"{size} applied", script.create(cluster, scenarios.many(size), scenarios.timeout_s(size))


def _few(engine: str, plan: Plan) -> Iterator[tuple[str, list[Figure]]]:
    """Without a custom resource, and with one at a time."""
    with a_bed(engine) as bed:
        if 0 in plan.idle:
            yield "idle without instances", scenarios.idle(bed, 0, plan.idle_s)
        if 1 in plan.created:
            scenarios.warm_up(bed)
            name, figures = scenarios.create_one_by_one(bed, plan.repeats)
            yield "created one by one", figures
            yield "repaired", scenarios.drift(bed, name, plan.repeats)
            yield "passed over without a change", scenarios.unchanged(bed, name, plan.repeats)


def _many(engine: str, plan: Plan, size: int) -> Iterator[tuple[str, list[Figure]]]:
    """With custom resources that are all created at once."""
    with a_bed(engine) as bed:
        scenarios.warm_up(bed)
        yield f"{size} created", scenarios.create_at_once(bed, size)
        if size in plan.idle:
            yield f"idle with {size}", scenarios.idle(bed, size, plan.idle_s)
        yield f"restarted with {size}", scenarios.restart(bed, size)


def _plays(engine: plays.Kind, number: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="immich-bench-") as folder:
        found = plays.measure(engine, Path(folder), plays=number, workers=plays.WORKERS)
    values = (
        ("first, with the start of the engine", "s", found.first_play_s),
        ("one at a time", "s", found.one_at_a_time_s),
        ("as many at once as there are processors", "per s", found.plays_per_second),
        ("CPU of one", "ms", found.cpu_ms_per_play),
    )
    return [Figure(Key("Plays of three empty tasks", what, unit), value) for what, unit, value in values]


if __name__ == "__main__":
    sys.exit(main())
