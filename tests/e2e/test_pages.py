# SPDX-License-Identifier: Apache-2.0
"""Commands of the documentation that only containers can answer: a backup by the book, restored by the book."""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from e2e.photos import Photos

from hack.docs.blocks import Block, blocks
from localcluster.ports import free_ports
from support.pages import PageRun


def test_a_backup_by_the_page_is_restored_by_the_page_into_another_namespace(photos: Photos, tmp_path: Path) -> None:
    photo = secrets.token_bytes(300_000)
    run = PageRun(photos.cluster, photos.namespace, tmp_path)
    uploaded: list[str] = []

    def once_it_is_ready(block: Block) -> None:
        if not uploaded and block.text.startswith("kubectl apply -f photos.yaml"):
            uploaded.append(photos.upload(photo))
            uploaded.append(photos.upload(secrets.token_bytes(1000), file_name="waves.mov"))
            assert _made_of(photos, uploaded) == [True, True]

    _follow(run, "how-to/back-up-by-hand.md", once_it_is_ready)
    with photos.cluster.namespace("restored") as elsewhere:
        run.shell(f"kubectl config set-context --current --namespace={elsewhere}")
        restored = Photos(photos.cluster, elsewhere, photos.deployed)

        def once_it_has_started(block: Block) -> None:
            if "deployment/photos-server --timeout" in block.text:
                restored.wait("the server answers", restored.answers)
                for queue in ("thumbnailGeneration", "videoConversion"):
                    restored.start_missing_jobs(queue)
                assert _made_of(restored, uploaded) == [False, False], (
                    "the backup has neither, nor does Missing make any"
                )
                run.environment = {**run.environment, "IMMICH_URL": restored.url(), "IMMICH_API_KEY": "any"}

        _follow(run, "how-to/restore.md", once_it_has_started)
        restored.wait_ready()

        assert restored.download(uploaded[0]) == photo
        assert _made_of(restored, uploaded) == [True, True]
        assert restored.password() != photos.password()


def test_the_server_is_reached_by_a_forwarded_port(photos: Photos) -> None:
    photos.ready()
    [block] = [block for block in blocks("tutorials/first-instance.md") if "port-forward" in block.text]
    port = free_ports(("server",))["server"]
    command = block.text.strip().replace("2283:2283", f"{port}:2283")

    forward = subprocess.Popen(
        ["bash", "-c", f"exec {command} --namespace={photos.namespace}"],
        env=photos.cluster.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        photos.wait("the forwarded port", lambda: _accepts(port) or forward.poll() is not None)
        assert forward.poll() is None
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /api/server/ping HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    finally:
        forward.terminate()
        forward.communicate(timeout=10)

    assert b'{"res":"pong"}' in answer.replace(b" ", b"")


def _follow(run: PageRun, page: str, after: Callable[[Block], None] = lambda _: None) -> None:
    """All blocks of a page in order, those marked `real` too."""
    for block in blocks(page):
        run.do(replace(block, mark="run") if block.mark == "real" else block)
        after(block)


def _made_of(photos: Photos, assets: list[str]) -> list[bool]:
    """Whether there is the thumbnail of the photo, and the video for browsers."""
    photo, video = assets
    return [photos.has(photo, part="thumbnail"), photos.has(video, part="video/playback")]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
