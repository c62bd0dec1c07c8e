# SPDX-License-Identifier: Apache-2.0
"""`immich-operator completion`: a shell that has read the script completes commands and flags."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from immich_operator.cli import main


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def completed(script: str, *words: str, folder: Path) -> list[str]:
    """What bash makes of the last word, after the words before it."""
    ask = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _immich_operator; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}", "bash", "immich-operator", *words],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["r"], ["run", "render"], id="commands"),
        pytest.param(["--v"], ["--version"], id="flag-of-all"),
        pytest.param(["run", "--kube"], ["--kubeconfig"], id="flag-of-a-command"),
        pytest.param(["run", "--kubeconfig", "x", "--cont"], ["--context"], id="a-later-flag"),
        pytest.param(["render", "--r"], ["--route"], id="another-command"),
        pytest.param(["completion", "z"], ["zsh"], id="a-choice"),
        pytest.param(["run", "--zap-dev"], [], id="not-what-only-is-there-for-others"),
        pytest.param(["render", "cr."], [], id="names-of-files-are-left-to-the-shell"),
    ],
)
def test_words_are_completed(script: str, words: list[str], expected: list[str], tmp_path: Path) -> None:
    assert completed(script, *words, folder=tmp_path) == expected


def test_zsh_takes_the_same_script_by_its_own_bridge(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    first, _, rest = capsys.readouterr().out.partition("\n")

    assert "bashcompinit" in first
    assert rest == script


def test_a_shell_that_is_not_known_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "fish"])

    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err
