# SPDX-License-Identifier: Apache-2.0
"""The command line: `immich-operator run`, `render`, `from-helm`, `version`, `completion`."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import logging
import os
import platform
import sys
from collections.abc import Callable, Sequence

from immich_operator import __version__, collection
from immich_operator.commands import completion
from immich_operator.config import settings
from immich_operator.errors import EXPECTED, SettingsError
from immich_operator.kube.texts import visible
from immich_operator.process import logs

DESCRIPTION = "Runs an Ansible role whenever a custom resource, or anything that depends on it, changes."


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 fine, 1 failed, 2 wrong usage."""
    if sys.stderr is None:  # closed by whoever calls; what is meant for it must not go elsewhere
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--version"]:
        arguments = ["version"]
    args = _parser(arguments).parse_args(arguments)
    try:
        return int(args.handler(args))
    except EXPECTED as exc:
        sys.stderr.write(visible(f"immich-operator: {exc}\n", keep="\n"))
        return 2 if isinstance(exc, SettingsError) else 1


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="immich-operator", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print versions, as the command does")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="watch the cluster and run passes until stopped",
        description=f"{DESCRIPTION} Every flag can be given as an environment variable too.",
        allow_abbrev=False,
    )
    settings.add_arguments(run)
    run.set_defaults(handler=_run)
    render = commands.add_parser("render", help="print the manifests of custom resource files, without a cluster")
    # the module imports the collection, which `run` and `version` do not need
    if argv[:1] in (["render"], ["completion"]):
        from immich_operator.commands import render as command  # noqa: PLC0415 - see above

        command.add_arguments(render)
        render.set_defaults(handler=_printing(command.run))
    from_helm = commands.add_parser("from-helm", help="print the Immich that values of the Helm chart stand for")
    if argv[:1] in (["from-helm"], ["completion"]):
        from immich_operator.commands import from_helm as conversion  # noqa: PLC0415 - as above

        conversion.add_arguments(from_helm)
        from_helm.set_defaults(handler=_printing(conversion.run))
    version = commands.add_parser("version", help="print versions")
    version.set_defaults(handler=_printing(_version))
    complete = commands.add_parser("completion", help="print a script that completes commands and flags in a shell")
    completion.add_arguments(complete)
    complete.set_defaults(handler=_printing(lambda args: completion.run(args, parser)))
    return parser


def _run(args: argparse.Namespace) -> int:
    # imported here, so that `--help` and `version` are quick
    import prometheus_client  # noqa: PLC0415

    from immich_operator.engine.limits import dump_no_core  # noqa: PLC0415
    from immich_operator.process import runtime  # noqa: PLC0415

    chosen = settings.resolve(args, os.environ)
    dump_no_core()
    # nobody needs a second series per counter
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    log = logs.set_up(chosen.log_level, chosen.log_format)
    for flag in settings.without_effect(args):
        log.warning("flag has no effect", extra={"flag": flag})
    if not settings.is_given(args, os.environ, "watches_file") and not chosen.watches_file.exists():
        chosen = _with_packaged(chosen, log)
    return runtime.run(chosen, os.environ, log)


def _with_packaged(chosen: settings.Settings, log: logging.Logger) -> settings.Settings:
    """The settings with the package's watches.yaml, whose images go into the environment of all plays."""
    packaged = collection.packaged()
    if packaged is None:
        return chosen
    os.environ.update({name: image for name, image in packaged.images.items() if not os.environ.get(name)})
    log.info("using the package's own watches.yaml and images", extra={"crds": packaged.crds})
    return dataclasses.replace(chosen, watches_file=packaged.watches_file)


def _printing(handler: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """For a command whose result is its output: all of it is written, or the exit status is 1."""

    def run(args: argparse.Namespace) -> int:
        if sys.stdout is None:
            sys.stderr.write("immich-operator: the output cannot be written: it is closed\n")
            return 1
        try:
            status = handler(args)
            sys.stdout.flush()
        except BrokenPipeError:
            why = ""  # the reader, `head` for instance, has closed the pipe
        except OSError as exc:
            why = f"immich-operator: the output cannot be written: {exc.strerror}\n"
        else:
            return status
        # what is still buffered would fail again when Python exits, with a traceback
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        sys.stderr.write(why)
        return 1

    return run


def _version(_args: argparse.Namespace) -> int:
    packages = " ".join(f"{name} {_installed(name)}" for name in ("ansible-core", "ansible-runner", "kubernetes"))
    sys.stdout.write(f"immich-operator {__version__} (Python {platform.python_version()}, {packages})\n")
    return 0


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
