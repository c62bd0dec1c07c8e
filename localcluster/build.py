# SPDX-License-Identifier: Apache-2.0
"""Find programs, and build missing ones with Go."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from localcluster import processes
from localcluster.errors import ProgramError
from localcluster.locks import locked
from localcluster.programs import PROGRAMS, Program, cache_folder, from_assets
from localcluster.progress import Progress

__all__ = ["check_go", "ensure", "locate"]

_REMEDY = "Install it from https://go.dev/dl/, or set KUBEBUILDER_ASSETS to a folder with the programs."


def locate(name: str, env: Mapping[str, str] | None = None) -> Path | None:
    """Where a program is: in KUBEBUILDER_ASSETS, otherwise in the cache; None if it has to be built."""
    found = from_assets(name, env)
    if found is None:
        cached = cache_folder(env) / "programs" / PROGRAMS[name].key / name
        found = cached if cached.is_file() else None
    return found


def ensure(names: Iterable[str], progress: Progress) -> dict[str, Path]:
    """Path of each program; missing ones are built, one module after another, and kept for the next time.

    ProgramError if Go is missing or too old, or if a build fails.
    """
    wanted = list(names)
    missing = [name for name in wanted if locate(name) is None]
    if missing:
        _build_all([PROGRAMS[name] for name in missing], progress)
    paths = {name: locate(name) for name in wanted}
    return {name: path for name, path in paths.items() if path is not None}


def _build_all(programs: list[Program], progress: Progress) -> None:
    folder = cache_folder() / "programs"
    go = check_go(programs)
    # One build at a time for the whole user: each takes all cores and 2 to 4 GB of memory.
    with locked(folder / "build.lock", on_wait=lambda: progress.say("Waiting for a build in another process ...")):
        todo = [program for program in programs if locate(program.name) is None]
        while todo:
            # The programs of a module share most packages: one `go build` compiles these once and links in parallel.
            module = [program for program in todo if program.module == todo[0].module]
            todo = [program for program in todo if program not in module]
            _build(module, folder, go, progress, later=todo)


def _build(module: list[Program], folder: Path, go: str, progress: Progress, later: list[Program]) -> None:
    first = module[0]
    log = folder / f"{first.key}.log"
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
        # Go names a program after its package unless there is only one.
        output = Path(scratch) if len(module) > 1 else Path(scratch) / first.name

        def what() -> str:
            left = [program for program in module if not (Path(scratch) / program.name).exists()]
            after = f", then {_names(later)}" if later else ""
            return f"Building {_names(left)} {first.version}{after}" if left else f"Keeping {_names(module)}"

        command = [go, "build", *first.build_flags, "-o", str(output), *(program.package for program in module)]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=first.source,
                env={**os.environ, "CGO_ENABLED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            try:
                returncode = progress.watch(f"Building {_names(module)} {first.version}", process, what)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if returncode != 0:
            packages = " ".join(program.package for program in module)
            raise ProgramError(
                f"`go build` of {packages} in {first.source} failed with status {returncode}.\n"
                f"End of its log {log}:\n{processes.tail(log)}"
            )
        for program in module:
            target = folder / program.key
            target.mkdir(exist_ok=True)
            (Path(scratch) / program.name).replace(target / program.name)
    log.unlink()


def _names(programs: Iterable[Program]) -> str:
    return ", ".join(program.name for program in programs)


def check_go(programs: Iterable[Program]) -> str:
    """Path of a Go that can build the programs; ProgramError with a remedy if there is none."""
    go = shutil.which("go")
    names = _names(programs)
    needed = max((program.go_version for program in programs), key=_numbers)
    if go is None:
        raise ProgramError(f"Go {needed} or newer is needed to build {names}, but there is no `go` on PATH. {_REMEDY}")
    # Asked inside the module, because Go switches to a newer toolchain there by itself, if allowed (GOTOOLCHAIN).
    source = next(iter(programs)).source
    answer = subprocess.run([go, "env", "GOVERSION"], cwd=source, capture_output=True, text=True, check=False)
    found = answer.stdout.strip().removeprefix("go")
    if answer.returncode != 0 or _numbers(found) < _numbers(needed):
        detail = found or answer.stderr.strip() or "unknown"
        raise ProgramError(
            f"Go {needed} or newer is needed to build {names} (see {source / 'go.mod'}), "
            f"but {go} is {detail}. {_REMEDY}"
        )
    return go


def _numbers(version: str) -> tuple[int, ...]:
    """1.26.0 -> (1, 26, 0); 1.27rc1 -> (1, 27); anything without a leading number sorts first."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = tuple(int(part) for part in match[0].split(".")) if match else ()
    return numbers + (0,) * (3 - len(numbers))
