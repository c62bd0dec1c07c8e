# SPDX-License-Identifier: Apache-2.0
"""How a play is run: `make_engine` gives an engine, an engine turns a `Play` into a `PlayResult`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from immich_operator.engine.base import Engine, Play, PlayResult, Status

__all__ = ["Engine", "Play", "PlayResult", "Status", "make_engine"]


def make_engine(
    kind: Literal["fork", "process"],
    *,
    base_dir: Path,
    workers: int,
    preload_roles: Sequence[Path] = (),
    log: logging.Logger,
    memory: int = 0,
) -> Engine:
    """An engine that keeps its own files below `base_dir` (made with mode 0700) and runs up to `workers` plays at once.

    `memory`: bytes of data that each process of a play may have, 0 for no bound.
    """
    base_dir = base_dir.absolute()
    base_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Imported here, because the zygote imports this package too and must not carry ansible-runner.
    from immich_operator.engine.bounded import BoundedEngine  # noqa: PLC0415
    from immich_operator.engine.fork import ForkEngine  # noqa: PLC0415
    from immich_operator.engine.process import ProcessEngine  # noqa: PLC0415

    if kind == "process":
        return BoundedEngine(ProcessEngine(base_dir=base_dir, roles=preload_roles, memory=memory), workers=workers)
    engine = ForkEngine(base_dir=base_dir, preload_roles=preload_roles, log=log, memory=memory)
    return BoundedEngine(engine, workers=workers)
