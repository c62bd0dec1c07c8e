# SPDX-License-Identifier: Apache-2.0
"""Memory and CPU as /proc tells of them, of real processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.processes import cpu_s, family, pss_mib

GRANDPARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=0, start_new_session=True)
child.wait()
"""
BUSY_S = 0.1
BUSY = f"import time\nwhile time.process_time() < {BUSY_S}: pass"
NO_PROCESS = 2**22 + 1
"""Larger than the kernel's limit of process ids."""


def test_a_family_has_descendants_of_all_generations_whatever_their_session() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", GRANDPARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as grandparent:
        assert grandparent.stdout
        grandparent.stdout.readline()

        mine, theirs = family(os.getpid()), family(grandparent.pid)

        grandparent.communicate(b"\n")
    assert len(theirs) == 2
    assert set(theirs) < set(mine)
    assert mine[0] == os.getpid()


def test_memory_grows_with_what_a_process_holds() -> None:
    before = pss_mib([os.getpid()])
    held = bytearray(b"x" * (64 << 20))

    assert pss_mib([os.getpid()]) > before + 32
    assert held


def test_time_of_an_ended_child_counts_for_its_parent() -> None:
    before = cpu_s([os.getpid()])

    subprocess.run([sys.executable, "-c", BUSY], check=True)

    assert cpu_s([os.getpid()]) - before > BUSY_S / 2  # it comes in steps of 10 ms


@pytest.mark.parametrize("measure", [pss_mib, cpu_s])
def test_a_process_that_has_gone_counts_nothing(measure) -> None:
    assert measure([NO_PROCESS]) == 0
