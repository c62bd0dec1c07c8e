# SPDX-License-Identifier: Apache-2.0
"""Images that a node needs before it can run any pod, built here because no registry is used."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from localcluster.build import check_go
from localcluster.errors import ProgramError
from localcluster.images import archive
from localcluster.locks import locked
from localcluster.programs import Program, cache_folder
from localcluster.progress import Progress

__all__ = ["PAUSE", "pause_archive"]

PAUSE = "localhost/pause:1"
"""Name of the image that holds the namespaces of each pod."""

_PROGRAM = Program("pause", "../images/pause", ".", "")


def pause_archive(progress: Progress) -> Path:
    """The image PAUSE as an archive for `ctr images import`; built with Go at the first call, then kept.

    ProgramError if Go is missing or too old, or if the build fails.
    """
    digest = hashlib.sha256()
    for source in (_PROGRAM.source / "go.mod", _PROGRAM.source / "main.go", Path(__file__), Path(archive.__file__)):
        digest.update(source.read_bytes())
    target = cache_folder() / "images" / f"pause-{archive.architecture()}-{digest.hexdigest()[:16]}.tar"
    if not target.is_file():
        go = check_go([_PROGRAM])
        with locked(target.with_suffix(".lock"), on_wait=lambda: progress.say("Waiting for a build of pause ...")):
            if not target.is_file():
                _build_pause(target, go, progress)
    return target


def _build_pause(target: Path, go: str, progress: Progress) -> None:
    progress.say("Building the image pause ...")
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as scratch:
        program, layer = Path(scratch) / "pause", Path(scratch) / "layer.tar"
        # -buildvcs: the same sources give the same program, whatever the commit.
        command = [go, "build", *_PROGRAM.build_flags, "-buildvcs=false", "-o", str(program), _PROGRAM.package]
        done = subprocess.run(
            command,
            cwd=_PROGRAM.source,
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProgramError(
                f"`go build` in {_PROGRAM.source} failed with status {done.returncode}:\n{done.stderr.strip()}"
            )
        archive.write_layer(layer, [archive.file("pause", program.read_bytes(), mode=0o755)])
        config = {"Entrypoint": ["/pause"], "User": "65535:65535"}
        archive.write(target, [archive.Image(PAUSE, config, (layer,))])
