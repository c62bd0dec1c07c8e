# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.fuzz.coverage FOLDER RUNS SEED [PARSER...]`: feed parsers what reaches code that nothing has reached yet.

What is said of each, and an input that makes it raise what it does not document, is in FOLDER/<parser>/. The last line for
each parser: its name and its exit status, which is 0 if nothing was found.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

LONGEST = 1024
"""Bytes of an input. How the time grows with it is looked at in test_growth.py."""

with atheris.instrument_imports(include=["immich_operator", "ansible_collections.media.immich"]):
    from tests.fuzz.parsers import PARSERS, Parser


def main(folder: Path, runs: str, seed: str, *names: str) -> None:
    """One process after another for each parser, because libFuzzer ends the one that it runs in."""
    for name in names or PARSERS:
        own = folder / name
        (own / "corpus").mkdir(parents=True)
        child = os.fork()
        if child == 0:
            _fuzz(PARSERS[name], own, runs, seed)
        _pid, status = os.waitpid(child, 0)
        print(f"{name}: {os.waitstatus_to_exitcode(status)}", flush=True)


def _fuzz(parser: Parser, folder: Path, runs: str, seed: str) -> None:
    """Ends this process."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    corpus, words = folder / "corpus", folder / "words"
    for number, text in enumerate(parser.seeds):
        (corpus / str(number)).write_bytes(text.encode(errors="replace"))
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in parser.words or ("x",)))
    bounds = [f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", "-len_control=0", "-reload=0"]
    atheris.Setup([sys.argv[0], *bounds, f"-dict={words}", f"-artifact_prefix={folder}/", str(corpus)], parser.reads)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
