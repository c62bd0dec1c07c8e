# SPDX-License-Identifier: Apache-2.0
"""The answers of the server's API that an operator, a proxy or a test may ask for. Nobody has to sign in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from . import media
from .environment import Settings
from .queues import Connection
from .web import Answer, Request, failure, json_answer, log, uploaded_file

if TYPE_CHECKING:  # the driver of the database is in the image only, the rules for jobs are tested without it
    from .database import Asset, Database

__all__ = ["Api"]

_ASSET = re.compile(r"/api/assets/([0-9a-f-]{36})(/original|/thumbnail|/video/playback)?")
_QUEUE = re.compile(r"/api/jobs/(\w+)")
_METADATA_QUEUE = "immich_bull:metadataExtraction:wait"
_MADE_BY = {"thumbnailGeneration": "thumbnail", "videoConversion": "encoded_video"}
"""{queue: what its jobs make of originals}"""
_SERVED = {"/thumbnail": "thumbnail", "/video/playback": "encoded_video"}


@dataclass(frozen=True, slots=True)
class Api:
    """`config` are the settings of the configuration file by their path."""

    settings: Settings
    config: Mapping[str, Any]
    machine_learning_urls: list[str]
    library: Path
    database: Database

    def answer(self, request: Request) -> Answer:
        """Errors of database and queues are for the caller to catch, which answers 500."""
        shown = _SHOWN.get(request.path)
        asset = _ASSET.fullmatch(request.path)
        queue = _QUEUE.fullmatch(request.path)
        match request.method:
            case "GET" if shown:
                return json_answer(shown(self))
            case "GET" if asset:
                return self._asset(asset[1], asset[2] or "")
            case "GET" if request.path == "/":
                return Answer(200, b"<title>Immich stand-in</title>\n", "text/html")
            case "POST" if request.path == "/api/assets":
                return self._upload(request)
            case "PUT" if queue and queue[1] in _MADE_BY:
                return self._start_jobs(_MADE_BY[queue[1]], json.loads(request.body))
        return failure(404, f"Cannot {request.method} {request.path}")

    def _about(self) -> dict[str, Any]:
        version = self.settings.version
        return {
            "version": version,
            "versionUrl": "",
            "licensed": False,
            "build": "stand-in",
            "repository": "stand-in",
            "sourceRef": version,
        }

    def _statistics(self) -> dict[str, int]:
        total = len(self.database.assets())
        return {"images": total, "videos": 0, "total": total}

    def _features(self) -> dict[str, bool]:
        learns = self.settings.machine_learning_enabled and bool(self.machine_learning_urls)
        return {
            "configFile": self.settings.config_file is not None,
            "email": _is_on(self.config["notifications.smtp.enabled"]),
            "facialRecognition": learns and _is_on(self.config["machineLearning.facialRecognition.enabled"]),
            "map": _is_on(self.config["map.enabled"]),
            "oauth": _is_on(self.config["oauth.enabled"]),
            "passwordLogin": _is_on(self.config["passwordLogin.enabled"]),
            "smartSearch": learns and _is_on(self.config["machineLearning.clip.enabled"]),
            "trash": _is_on(self.config["trash.enabled"]),
        }

    def _public_config(self) -> dict[str, Any]:
        self.database.starts()  # Immich looks for an administrator here, so this needs the database
        return {
            "externalDomain": self.config["server.externalDomain"],
            "isInitialized": False,
            "isOnboarded": self.settings.config_file is not None,
            "loginPageMessage": self.config["server.loginPageMessage"],
            "maintenanceMode": False,
            "oauthButtonText": self.config["oauth.buttonText"],
            "publicUsers": _is_on(self.config["server.publicUsers"]),
            "trashDays": self.config["trash.days"],
            "userDeleteDelay": self.config["user.deleteDelay"],
        }

    def _about_the_stand_in(self) -> dict[str, Any]:
        """What no API of Immich tells: for tests only."""
        return {
            "machineLearning": {url: _ping(url) for url in self.machine_learning_urls},
            "mediaLocation": str(self.library),
            "starts": self.database.starts(),
            "workers": sorted(self.settings.workers),
        }

    def _upload(self, request: Request) -> Answer:
        given = uploaded_file(request.headers, request.body, "assetData")
        if given is None:
            return failure(400, "the form has no file assetData")
        file_name, content = given
        checksum = hashlib.sha1(content, usedforsecurity=False).digest()
        known = self.database.asset_with(checksum)
        if known:
            return json_answer({"id": known.id, "status": "duplicate"})
        asset_id = str(uuid.uuid4())
        with Connection(self.settings.queues) as queues:
            path = media.store(self.library, asset_id, PurePath(file_name).suffix, content)
            self.database.add_asset(asset_id, PurePath(file_name).name, str(path), len(content), checksum)
            queues.run("LPUSH", _METADATA_QUEUE, asset_id)
        for kind in _MADE_BY.values():
            self._derive(self.database.asset(asset_id), kind)
        log(f"stored {path}")
        return json_answer({"id": asset_id, "status": "created"}, 201)

    def _start_jobs(self, kind: str, command: Mapping[str, Any]) -> Answer:
        """All originals with `force`, else those without a row: what is on the volume is not looked at, as in Immich."""
        if command.get("command") != "start":
            return failure(400, "command must be start")
        known = {} if command.get("force") else self.database.files(kind)
        made = [asset.id for asset in self.database.assets() if asset.id not in known and self._derive(asset, kind)]
        counts = dict.fromkeys(("active", "delayed", "failed", "paused", "waiting"), 0)
        return json_answer({"jobCounts": {**counts, "completed": len(made)}, "queueStatus": {"isActive": False}})

    def _derive(self, asset: Asset | None, kind: str) -> bool:
        """Whether there is something to make of that asset."""
        if asset is None or (kind == "encoded_video" and not media.is_video(Path(asset.path))):
            return False
        path = media.derive(self.library, asset.id, kind, Path(asset.path))
        self.database.add_file(asset.id, kind, str(path))
        return True

    def _asset(self, asset_id: str, part: str) -> Answer:
        asset = self.database.asset(asset_id)
        if asset is None:
            return failure(404, "there is no such asset")
        if not part:
            return json_answer(_described(asset))
        path = asset.path if part == "/original" else self.database.files(_SERVED[part]).get(asset_id)
        if path is None or not Path(path).is_file():
            return failure(404, "there is no such file")
        return Answer(200, Path(path).read_bytes(), "application/octet-stream")


_SHOWN: Mapping[str, Callable[[Api], Any]] = {
    "/.well-known/immich": lambda _: {"api": {"endpoint": "/api"}},
    "/api/assets": lambda api: [_described(asset) for asset in api.database.assets()],
    "/api/assets/statistics": Api._statistics,
    "/api/server/about": Api._about,
    "/api/server/config": Api._public_config,
    "/api/server/features": Api._features,
    "/api/server/ping": lambda _: {"res": "pong"},
    "/api/server/version": lambda api: _version(api.settings.version),
    "/api/server/version-history": lambda api: api.database.versions(),
    "/api/stand-in": Api._about_the_stand_in,
}
"""What a GET shows as JSON."""


def _version(text: str) -> dict[str, int | None]:
    """v3.1.0 -> {"major": 3, "minor": 1, "patch": 0, "prerelease": None}"""
    numbers, _, prerelease = text.removeprefix("v").partition("-rc.")
    major, minor, patch = (int(number) for number in numbers.split("."))
    return {"major": major, "minor": minor, "patch": patch, "prerelease": int(prerelease) if prerelease else None}


def _is_on(value: bool | str) -> bool:
    return value in (True, "true")


def _described(asset: Asset) -> dict[str, Any]:
    shown = asdict(asset)
    return {
        "id": shown["id"],
        "originalFileName": shown["file_name"],
        "originalPath": shown["path"],
        "fileSizeInByte": shown["size"],
        "checksum": base64.b64encode(asset.checksum).decode(),
        "createdAt": shown["created_at"],
    }


def _ping(url: str) -> str:
    """What a machine learning service says, or why it says nothing."""
    try:
        with urlopen(f"{url.rstrip('/')}/ping", timeout=2) as answer:  # noqa: S310 - as configured
            text: str = answer.read(100).decode(errors="replace")
            return text
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
