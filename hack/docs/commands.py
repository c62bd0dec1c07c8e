# SPDX-License-Identifier: Apache-2.0
"""docs/reference/commands.md, from the command line's own help."""

from __future__ import annotations

import argparse
from pathlib import Path

from immich_operator import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "commands.md"

INTRODUCTION = """\
# Commands

<!-- Made by `make generate` from the help of immich-operator; do not edit. -->

The wheel installs `immich-operator`. In a clone of the repository `python -m immich_operator` is the same.

{description}

| Command | Purpose |
|---|---|
{commands}

The exit status is 0 on success, 1 if something failed, and 2 for an invalid command line or environment variable.
`render` also exits with 2 if it cannot read a file. It is also 1 if the output cannot be written completely.
"""

AFTER = {
    "run": "All flags, their environment variables and defaults are in [Settings of the operator](settings.md). It "
    "needs no file: without `--watches-file` and a `watches.yaml` in the current folder it uses the one in the "
    "package, and the package's images where no `RELATED_IMAGE_*` variable names another. The kind Immich has to be "
    "installed, from the folder that the first log line names: `kubectl apply --server-side --kustomize FOLDER`.\n\n"
    "The log begins with the cluster that it works on: address, context and namespaces. While the API server can't be "
    "reached, a line says so at growing intervals, from 2 seconds to 5 minutes. On SIGTERM or SIGINT it lets running "
    "passes finish and releases its Lease.",
    "render": "Nothing is contacted and nothing is changed. Problems in a custom resource go to standard error, each "
    "with the field and what to do, and so does a note for each object of another kind, which is skipped.",
    "from-helm": "See [From the Helm chart's values to an Immich](../how-to/from-helm-values.md). The exit status is 1 if "
    "a value has no place in an Immich, and 2 if the file can't be read.",
    "version": "Prints the version of the operator and of what it runs on, as `immich-operator --version` does.",
    "completion": "If no command or flag matches, file names are completed.",
}


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: page()}


def page() -> str:
    """The page, built from the parser, because the layout of --help differs between versions of Python."""
    parser = _parser()
    commands = _commands(parser)
    lines = [f"| [`{name}`](#{name}) | {help_.capitalize()} |" for name, (help_, _) in commands.items()]
    parts = [INTRODUCTION.format(description=parser.description, commands="\n".join(lines))]
    parts += [_section(name, command) for name, (_, command) in commands.items()]
    return "\n".join(parts)


def _parser() -> argparse.ArgumentParser:
    return cli._parser(["completion"])


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """{name: (one line of help, parser)} in the order of --help."""
    group = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
    return {name: (helps[name], command) for name, command in group.choices.items()}


def _section(name: str, command: argparse.ArgumentParser) -> str:
    actions = [action for action in command._actions if action.dest != "help"]
    positional = [
        f" {action.metavar}{'...' if action.nargs == '+' else ''}" for action in actions if not action.option_strings
    ]
    usage = f"immich-operator {name}{' [FLAGS]' if any(a.option_strings for a in actions) else ''}{''.join(positional)}"
    parts = [f"## {name}\n", f"<!-- elsewhere -->\n```text\n{usage}\n```\n"]
    if command.description:
        parts.append(f"{_text(command.description)}\n")
    parts.append(f"{AFTER[name]}\n")
    if actions and name != "run":
        parts.append("| Argument | Meaning |\n|---|---|")
        parts += [
            f"| `{', '.join(a.option_strings) or a.metavar}` | {_text(_capital(a.help or ''))}. |" for a in actions
        ]
        parts.append("")
    return "\n".join(parts)


def _text(text: str) -> str:
    """Plain text as Markdown: nothing in it is a tag, an emphasis or a column."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("|", "\\|")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
