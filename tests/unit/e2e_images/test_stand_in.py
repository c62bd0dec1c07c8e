# SPDX-License-Identifier: Apache-2.0
"""What the stand-in for Immich refuses and what it accepts, as far as that needs neither database nor container."""

from __future__ import annotations

import base64
import io
import json
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from e2e.images import build
from e2e.images.stand_in import config_file, environment, machine_learning, media, queues, web
from e2e.images.stand_in.api import Api
from e2e.images.stand_in.environment import InvalidEnvironment

from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings import check_settings

DEFAULTS = Path(__file__).parents[1] / "plugin_utils" / "spec" / "immich-defaults.yaml"


@pytest.fixture(scope="module")
def kinds() -> config_file.Kinds:
    """As they come out of the file in the image."""
    known: config_file.Kinds = json.loads(json.dumps(build.setting_kinds()))
    return known


# ---- Environment


def test_what_the_operator_sets_is_understood() -> None:
    found = environment.read(
        {
            "DB_HOSTNAME": "photos-postgres",
            "DB_PORT": "5432",
            "DB_DATABASE_NAME": "immich",
            "DB_USERNAME": "immich",
            "DB_PASSWORD": "secret",
            "REDIS_HOSTNAME": "photos-valkey",
            "REDIS_PORT": "6379",
            "REDIS_DBINDEX": "3",
            "IMMICH_CONFIG_FILE": "/config/immich-config.yaml",
            "IMMICH_TELEMETRY_INCLUDE": "all",
        }
    )

    assert found.database == {
        "host": "photos-postgres",
        "port": 5432,
        "user": "immich",
        "password": "secret",
        "dbname": "immich",
        "sslmode": "disable",
    }
    assert found.queues == environment.QueueServer(host="photos-valkey", port=6379, database=3)
    assert found.config_file == Path("/config/immich-config.yaml")
    assert found.metrics
    assert found.workers == {"api", "microservices"}
    assert "secret" not in repr(found)


def test_service_links_and_other_faults_are_named_all_at_once() -> None:
    with pytest.raises(InvalidEnvironment) as refused:
        environment.read(
            {
                "DB_PORT": "tcp://10.96.0.7:5432",
                "REDIS_PORT": "tcp://10.96.0.8:6379",
                "IMMICH_PORT": "tcp://10.96.0.9:80",
                "DB_VECTOR_EXTENSION": "",
                "IMMICH_WORKERS_INCLUDE": "api,web",
                "IMMICH_TELEMETRY_INCLUDE": "everything",
                "IMMICH_MEDIA_LOCATION": "data",
                "IMMICH_TRUSTED_PROXIES": "uniquelocal,10.0.0.0/8,proxy",
                "IMMICH_IGNORE_MOUNT_CHECK_ERRORS": "maybe",
            }
        )

    assert sorted(problem.name for problem in refused.value.problems) == [
        "DB_PORT",
        "DB_VECTOR_EXTENSION",
        "IMMICH_IGNORE_MOUNT_CHECK_ERRORS",
        "IMMICH_MEDIA_LOCATION",
        "IMMICH_PORT",
        "IMMICH_TELEMETRY_INCLUDE",
        "IMMICH_TRUSTED_PROXIES",
        "IMMICH_WORKERS_INCLUDE",
        "REDIS_PORT",
    ]


@pytest.mark.parametrize(
    ("included", "excluded", "workers"),
    [
        pytest.param("", "", {"api", "microservices"}, id="both"),
        pytest.param("api", "", {"api"}, id="api"),
        pytest.param("", "api", {"microservices"}, id="all-but-api"),
        pytest.param("api, microservices", "microservices", {"api"}, id="exclusion-wins"),
    ],
)
def test_workers_are_those_included_without_those_excluded(included: str, excluded: str, workers: set[str]) -> None:
    found = environment.read({"IMMICH_WORKERS_INCLUDE": included, "IMMICH_WORKERS_EXCLUDE": excluded})

    assert found.workers == workers


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        pytest.param(
            "postgresql://u:p%40@db:5433/immich", "postgresql://u:p%40@db:5433/immich?sslmode=disable", id="plain"
        ),
        pytest.param(
            "postgres://u:p@db/immich?sslmode=require&uselibpqcompat=true",
            "postgres://u:p@db/immich?sslmode=require",
            id="for-node-only",
        ),
        pytest.param(
            "postgresql://u:p@db/immich?sslmode=no-verify", "postgresql://u:p@db/immich?sslmode=require", id="no-verify"
        ),
    ],
)
def test_a_database_url_takes_the_place_of_everything_else(url: str, dsn: str) -> None:
    assert environment.read({"DB_URL": url, "DB_HOSTNAME": "other"}).database == {"dsn": dsn}


def _ioredis(options: Any) -> str:
    return "ioredis://" + base64.b64encode(json.dumps(options).encode()).decode()


def test_an_ioredis_url_takes_the_place_of_host_and_port() -> None:
    url = _ioredis({"host": "valkey", "port": 6380, "db": 2, "username": "u", "password": "p"})

    found = environment.read({"REDIS_URL": url, "REDIS_HOSTNAME": "other"}).queues

    assert found == environment.QueueServer(host="valkey", port=6380, database=2, username="u", password="p")


def test_an_ioredis_url_may_ask_for_tls() -> None:
    url = _ioredis({"host": "valkey", "tls": {"ca": "PEM", "servername": "name"}})

    found = environment.read({"REDIS_URL": url}).queues

    assert (found.ca, found.server_name) == ("PEM", "name")


def test_another_redis_url_is_passed_over() -> None:
    found = environment.read({"REDIS_URL": "redis://valkey:6379", "REDIS_HOSTNAME": "other"}).queues

    assert found.host == "other"


@pytest.mark.parametrize("url", ["ioredis://%", "ioredis://aGVsbG8=", _ioredis([]), _ioredis({"sentinels": []})])
def test_an_ioredis_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(InvalidEnvironment, match=r"^REDIS_URL "):
        environment.read({"REDIS_URL": url})


def test_secrets_come_from_files_without_their_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of the file\n", encoding="utf-8")
    (tmp_path / "REDIS_PASSWORD").write_text("of the folder\n", encoding="utf-8")
    env = {
        "DB_PASSWORD": "of the variable",
        "DB_PASSWORD_FILE": str(tmp_path / "password"),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }

    found = environment.with_secrets_from_files(env)

    assert found["DB_PASSWORD"] == "of the file"
    assert found["REDIS_PASSWORD"] == "of the folder"


def test_a_secret_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidEnvironment, match="DB_URL_FILE names a file that cannot be read"):
        environment.with_secrets_from_files({"DB_URL_FILE": str(tmp_path / "none")})


# ---- Configuration file


def test_immichs_defaults_are_accepted(kinds: config_file.Kinds) -> None:
    found = config_file.load(DEFAULTS, kinds)

    assert found.unknown == ()
    assert {path: found.values[path] for path in config_file.DEFAULTS} == config_file.DEFAULTS


def test_without_a_file_there_are_the_defaults(kinds: config_file.Kinds) -> None:
    assert config_file.load(None, kinds).values == config_file.DEFAULTS


def test_unknown_keys_are_reported_and_passed_over(kinds: config_file.Kinds) -> None:
    content = {"trash": {"days": 3, "nights": 1}, "trash.days": 4, "wholly": {"new": 1}}

    found = config_file.check(content, kinds)

    assert found.values["trash.days"] == 3
    assert sorted(found.unknown) == ["trash.nights", r"trash\.days", "wholly"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"trash": {"days": "many"}}, id="text-for-a-number"),
        pytest.param({"trash": {"days": "3"}}, id="number-in-quotes"),
        pytest.param({"trash": {"days": None}}, id="null"),
        pytest.param({"trash": {"days": 1.5}}, id="fraction"),
        pytest.param({"trash": 3}, id="value-for-a-section"),
        pytest.param({"trash": {"enabled": "yes"}}, id="text-for-a-flag"),
        pytest.param({"ffmpeg": {"crf": 52}}, id="too-large"),
        pytest.param({"ffmpeg": {"targetVideoCodec": "h266"}}, id="not-in-the-list"),
        pytest.param({"ffmpeg": {"acceptedVideoCodecs": "h264"}}, id="text-for-a-list"),
        pytest.param({"machineLearning": {"urls": []}}, id="empty-list"),
        pytest.param({"machineLearning": {"clip": {"enabled": "true"}}}, id="text-for-a-strict-flag"),
        pytest.param({"server": {"loginPageMessage": 5}}, id="number-for-a-text"),
        pytest.param({"server": {"externalDomain": "photos"}}, id="no-url"),
        pytest.param({"nightlyTasks": {"startTime": "noon"}}, id="no-time"),
        pytest.param({"library": {"scan": {"cronExpression": "daily at noon"}}}, id="no-cron"),
    ],
)
def test_what_the_stand_in_refuses_the_operator_calls_fatal(content: dict[str, Any], kinds: config_file.Kinds) -> None:
    with pytest.raises(config_file.InvalidConfig):
        config_file.check(content, kinds)

    assert any(finding.fatal for finding in check_settings(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"ffmpeg": {"crf": "23"}}, id="number-in-quotes"),
        pytest.param({"trash": {"enabled": "true"}}, id="flag-in-quotes"),
        pytest.param({"trash": {}}, id="empty-section"),
        pytest.param({"trash": {"days": {}}}, id="empty-value"),
        pytest.param({"oauth": {"defaultStorageQuota": None}}, id="null-where-allowed"),
        pytest.param(None, id="empty-file"),
    ],
)
def test_what_the_operator_lets_pass_the_stand_in_accepts(content: Any, kinds: config_file.Kinds) -> None:
    config_file.check(content, kinds)

    assert not any(finding.fatal for finding in check_settings(content))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("yes", "yes", id="no-flag"),
        pytest.param("12:30", "12:30", id="no-number-to-the-base-60"),
        pytest.param("2026-01-31x", "2026-01-31x", id="text"),
        pytest.param("true", True, id="flag"),
        pytest.param("12", 12, id="whole-number"),
        pytest.param("0.5", 0.5, id="number"),
        pytest.param("null", None, id="null"),
    ],
)
def test_plain_words_are_read_as_yaml_1_2_has_them(text: str, value: Any) -> None:
    assert yaml.load(f"key: {text}", Loader=config_file._Loader) == {"key": value}  # noqa: S506 - a SafeLoader


@pytest.mark.parametrize("text", [None, "- a list", "key: [", "just text"])
def test_a_file_that_is_not_there_or_holds_no_settings_is_refused(
    text: str | None, kinds: config_file.Kinds, tmp_path: Path
) -> None:
    path = tmp_path / "immich-config.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(config_file.InvalidConfig):
        config_file.load(path, kinds)


# ---- Library


@pytest.mark.parametrize(
    ("chosen", "present", "place"),
    [
        pytest.param("/srv/photos", {"/data"}, "/srv/photos", id="chosen"),
        pytest.param(None, {"/data"}, "/data", id="present"),
        pytest.param(None, {"/usr/src/app/upload"}, "/usr/src/app/upload", id="legacy"),
        pytest.param(None, {"/data", "/usr/src/app/upload"}, "/usr/src/app/upload", id="both"),
    ],
)
def test_where_the_library_is(chosen: str | None, present: set[str], place: str) -> None:
    found = media.location(Path(chosen) if chosen else None, lambda path: str(path) in present)

    assert found == Path(place)


def test_marks_are_made_once_and_then_have_to_be_there(tmp_path: Path) -> None:
    known, faults = media.check_marks(tmp_path, {})
    assert known == dict.fromkeys(media.FOLDERS, True)
    assert faults == []

    (tmp_path / "thumbs" / ".immich").unlink()
    known_later, faults = media.check_marks(tmp_path, known)

    assert known_later == known
    assert faults == [f"{tmp_path / 'thumbs' / '.immich'}: No such file or directory"]


def test_a_mark_made_by_hand_is_as_good(tmp_path: Path) -> None:
    for name in media.FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / ".immich").touch()

    assert media.check_marks(tmp_path, dict.fromkeys(media.FOLDERS, True))[1] == []


def test_a_stored_original_is_complete_and_alone(tmp_path: Path) -> None:
    path = media.store(tmp_path, "abcdef", ".jpg", b"light")

    assert path == tmp_path / "upload" / "ab" / "cd" / "abcdef.jpg"
    assert path.read_bytes() == b"light"
    assert list(path.parent.iterdir()) == [path]


# ---- Queues and HTTP


def test_commands_are_sent_as_lists_of_texts() -> None:
    assert queues.command("SELECT", 3) == b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        pytest.param(b"+PONG\r\n", "PONG", id="word"),
        pytest.param(b":4\r\n", 4, id="number"),
        pytest.param(b"$5\r\na\r\nbc\r\n", "a\r\nbc", id="text"),
        pytest.param(b"$-1\r\n", None, id="nothing"),
        pytest.param(b"*2\r\n+a\r\n:1\r\n", ["a", 1], id="list"),
    ],
)
def test_replies_are_understood(sent: bytes, value: Any) -> None:
    assert queues.reply(io.BytesIO(sent)) == value


@pytest.mark.parametrize("sent", [pytest.param(b"-NOAUTH\r\n", id="error"), pytest.param(b"", id="closed")])
def test_an_error_or_no_reply_is_an_error(sent: bytes) -> None:
    with pytest.raises(queues.QueueError):
        queues.reply(io.BytesIO(sent))


def _form(*parts: tuple[str, bytes]) -> tuple[Message, bytes]:
    headers = Message()
    headers["Content-Type"] = 'multipart/form-data; boundary="x-y"'
    body = b"".join(
        b"--x-y\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return headers, body + b"--x-y--\r\n"


def test_a_file_is_found_in_a_form_and_kept_byte_by_byte() -> None:
    content = b"\r\n\0--x-z\r\n\r\n\xff\n"

    found = web.uploaded_file(
        *_form(('name="deviceId"', b"a"), ('name="assetData"; filename="a b.jpg"', content)), "assetData"
    )

    assert found == ("a b.jpg", content)


def test_a_form_without_the_file_has_none() -> None:
    assert web.uploaded_file(*_form(('name="deviceId"', b"a")), "assetData") is None
    assert web.uploaded_file(Message(), b"", "assetData") is None


def test_a_failing_answer_is_a_500_and_the_server_continues(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: web.Request) -> web.Answer:
        if request.path == "/fails":
            raise OSError("the database is gone")
        return web.json_answer({"got": request.body.decode()})

    with web.listen("127.0.0.1", 0, answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(f"{url}/fails", timeout=10)  # noqa: S310 - our own server
        failed.value.close()
        with urllib.request.urlopen(f"{url}/?x", data=b"hello", timeout=10) as given:  # noqa: S310 - our own server
            content = json.load(given)
        server.shutdown()

    assert failed.value.code == 500
    assert "GET /fails: OSError: the database is gone" in capsys.readouterr().out
    assert content == {"got": "hello"}


# ---- What is made of originals


class Rows:
    """The database as far as jobs use it."""

    def __init__(self, *assets: SimpleNamespace) -> None:
        self._assets, self._files = list(assets), dict[tuple[str, str], str]()

    def assets(self) -> list[SimpleNamespace]:
        return self._assets

    def asset(self, asset_id: str) -> SimpleNamespace | None:
        return next((asset for asset in self._assets if asset.id == asset_id), None)

    def files(self, kind: str) -> dict[str, str]:
        return {asset: path for (asset, of), path in self._files.items() if of == kind}

    def add_file(self, asset_id: str, kind: str, path: str) -> None:
        self._files[asset_id, kind] = path


PHOTO, VIDEO = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def library(tmp_path: Path) -> Api:
    """A photo and a video whose thumbnails and playable videos were made."""
    originals = {PHOTO: tmp_path / "beach.jpg", VIDEO: tmp_path / "waves.mov"}
    for path in originals.values():
        path.write_bytes(b"content")
    rows = Rows(*(SimpleNamespace(id=name, path=str(path)) for name, path in originals.items()))
    api = Api(environment.read({}), {}, [], tmp_path, rows)  # type: ignore[arg-type]
    start(api, "thumbnailGeneration", force=False)
    start(api, "videoConversion", force=False)
    return api


def start(api: Api, queue: str, *, force: bool) -> int:
    """How much the jobs made."""
    body = json.dumps({"command": "start", "force": force}).encode()
    answer = api.answer(web.Request("PUT", f"/api/jobs/{queue}", Message(), body))
    assert answer.status == 200
    completed: int = json.loads(answer.body)["jobCounts"]["completed"]
    return completed


def status_of(api: Api, asset: str, part: str) -> int:
    return api.answer(web.Request("GET", f"/api/assets/{asset}/{part}", Message())).status


@pytest.mark.parametrize(
    ("queue", "folder", "asset", "part", "number"),
    [
        pytest.param("thumbnailGeneration", "thumbs", PHOTO, "thumbnail", 2, id="thumbnails"),
        pytest.param("videoConversion", "encoded-video", VIDEO, "video/playback", 1, id="videos"),
    ],
)
def test_what_is_missing_goes_by_rows_so_that_only_all_jobs_make_lost_files_again(
    library: Api, queue: str, folder: str, asset: str, part: str, number: int
) -> None:
    assert status_of(library, asset, part) == 200
    shutil.rmtree(library.library / folder)

    assert status_of(library, asset, part) == 404
    assert start(library, queue, force=False) == 0
    assert status_of(library, asset, part) == 404
    assert start(library, queue, force=True) == number
    assert status_of(library, asset, part) == 200


def test_of_a_photo_no_video_is_made(library: Api) -> None:
    assert status_of(library, PHOTO, "video/playback") == 404


# ---- Machine learning


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        pytest.param("GET", "/ping", 200, b"pong", id="ping"),
        pytest.param("POST", "/predict", 501, b"no models", id="predict"),
        pytest.param("GET", "/other", 404, b"Not Found", id="other"),
    ],
)
def test_machine_learning_answers_and_admits_what_it_cannot_do(
    method: str, path: str, status: int, body: bytes
) -> None:
    found = machine_learning.answer(web.Request(method, path, Message()))

    assert found.status == status
    assert body in found.body


def test_machine_learning_adds_to_its_cache_at_each_start(tmp_path: Path) -> None:
    for _ in range(2):
        machine_learning.write_cache(tmp_path / "cache")

    assert len((tmp_path / "cache" / machine_learning.CACHE_FILE).read_text(encoding="utf-8").splitlines()) == 2


def test_machine_learning_ends_when_its_cache_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert machine_learning.main({"MACHINE_LEARNING_CACHE_FOLDER": str(tmp_path / "file")}) == 1


def test_machine_learning_ends_where_it_has_no_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refused)

    assert machine_learning.main({"MACHINE_LEARNING_CACHE_FOLDER": str(tmp_path), "IMMICH_PORT": "0"}) == 1
