# SPDX-License-Identifier: Apache-2.0
"""Commands that messages advise can be copied into a shell, whatever others have called their objects."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.commands import FOLDER, WORD, Given, command, is_name

ROOT = Path(__file__).parents[4]
PROGRAMS = re.compile(r"\b(kubectl|psql|pg_dump|valkey-cli|redis-cli|oc|helm) ")
HOSTILE = [
    "x; reboot",
    "$(reboot)",
    "`reboot`",
    "--server=https://evil.example",
    "a b",
    "a\nb",
    "..",
    "",
    "A",
    "x'y",
    "x" * 300,
]


def words_of(advice: str) -> list[str]:
    return shlex.split(advice.split("`")[1])


def test_a_word_of_ours_is_quoted_as_the_shell_needs_it():
    assert command("kubectl", "patch", "pv", '{"a": 1}') == """`kubectl patch pv '{"a": 1}'`"""


def test_a_name_stands_in_its_place():
    assert (
        command("kubectl", "describe", "node", Given("n-1.example", "NODE"), ticks="")
        == "kubectl describe node n-1.example"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_name_is_left_out_and_the_command_says_so(text):
    advice = command("kubectl", "delete", "pod", Given(text, "POD"))

    assert advice == "`kubectl delete pod POD` (POD left out, because what stands there is no valid name)"


def test_two_words_that_are_left_out_are_both_named():
    advice = command("kubectl", "get", Given("?", "KIND"), Given("!", "NAME"))

    assert advice.endswith("(KIND and NAME left out, because what stands there is no valid name)")


@given(st.text(), st.sampled_from([WORD, FOLDER]))
def test_whatever_is_given_is_one_word_that_is_no_flag(text, pattern):
    *others, last = words_of(command("kubectl", "annotate", Given(text, "VALUE", pattern, before="key=")))

    assert others == ["kubectl", "annotate"]
    assert last in (f"key={text}", "key=VALUE")


@given(st.text())
def test_a_name_needs_no_quotes_and_is_no_flag(text):
    if is_name(text):
        assert shlex.quote(text) == text
        assert not text.startswith("-")


def test_no_message_puts_a_command_together_by_itself():
    found = []
    for file in sorted([*ROOT.glob("plugins/**/*.py"), *ROOT.glob("immich_operator/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and PROGRAMS.search(_shown(node)) and _has_value_in_command(node):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno}")

    assert found == [], "make the command with kube.commands.command"


def _shown(node: ast.JoinedStr) -> str:
    return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)


def _has_value_in_command(node: ast.JoinedStr) -> bool:
    """Whether a value follows the program's name before the command's end: a closing quote, or that of the sentence."""
    return bool(re.search(PROGRAMS.pattern + r"[^`;.]*\0", _shown(node)))
