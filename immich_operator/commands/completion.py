# SPDX-License-Identifier: Apache-2.0
"""`immich-operator completion SHELL`: a script with which a shell completes commands and flags, made from the parser."""

from __future__ import annotations

import argparse
import sys

SHELLS = ("bash", "zsh")

# Anything that is not a command or flag is left to the shell, which completes file names.
SCRIPT = """\
_immich_operator() {{
  local words
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words='{commands}' ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words='{commands}'; fi
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _immich_operator immich-operator
"""
FOR_ZSH = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.description = (
        'Print a script that completes commands and flags. Put `eval "$(immich-operator completion bash)"` into '
        "~/.bashrc, or the same with zsh into ~/.zshrc."
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash or zsh")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print the script for the commands of `parser`."""
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    cases = "\n".join(f"    {name}) words='{' '.join(_words(command))}' ;;" for name, command in commands.items())
    script = SCRIPT.format(cases=cases, commands=" ".join(_words(parser)))
    sys.stdout.write((FOR_ZSH if args.shell == "zsh" else "") + script)
    return 0


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """The flags that help shows, and the possible values of an argument."""
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    flags = [flag for action in shown for flag in action.option_strings if flag.startswith("--")]
    return flags + [str(choice) for action in shown if not action.option_strings for choice in action.choices or ()]
