# SPDX-License-Identifier: Apache-2.0
"""One picture: what an operator costs by the number of its instances."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure

__all__ = ["draw"]

PANELS = (
    ("Creation", "ready", "Until all are ready (s)", "log"),
    ("Idle", "memory (PSS)", "Memory when idle (MiB)", "linear"),
    ("Idle", "CPU", "CPU when idle (% of a core)", "linear"),
)
"""(section, what, title, scale of both axes)"""

COLOURS = 32


def draw(engines: Mapping[str, Sequence[Figure]], target: Path) -> None:
    """Write a PNG file."""
    with tempfile.TemporaryDirectory() as scratch:
        # Otherwise it keeps a list of the machine's fonts in the user's home folder.
        os.environ["MPLCONFIGDIR"] = scratch
        from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - reads the variable, and takes a second
        from matplotlib.ticker import ScalarFormatter  # noqa: PLC0415

        canvas = Canvas(figsize=(10, 3.2), dpi=100, layout="constrained")
        for axes, (section, what, title, scale) in zip(canvas.subplots(1, len(PANELS)), PANELS, strict=True):
            for engine, figures in engines.items():
                line = points(figures, section, what)
                axes.plot(
                    [crs for crs, _ in line], [value for _, value in line], marker="o", markersize=4, label=engine
                )
            axes.set(title=title, xlabel="instances", xscale=scale, yscale=scale)
            if scale == "linear":
                axes.set_ylim(bottom=0)
            else:
                axes.xaxis.set_major_formatter(ScalarFormatter())
                axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.grid(visible=True, alpha=0.3)
        canvas.axes[0].legend(title="engine")
        _save(canvas, target)


def _save(canvas: Any, target: Path) -> None:
    """With few colours, which makes the file a quarter of what it was."""
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib

    whole = io.BytesIO()
    canvas.savefig(whole, format="png")
    with Image.open(whole) as image:
        image.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT).save(
            target, format="png", optimize=True
        )


def points(figures: Sequence[Figure], section: str, what: str) -> list[tuple[int, float]]:
    """[(number of custom resources, value)], the smallest number first."""
    return sorted(
        (figure.key.crs, figure.value)
        for figure in figures
        if (figure.key.section, figure.key.what) == (section, what) and figure.key.crs is not None
    )
