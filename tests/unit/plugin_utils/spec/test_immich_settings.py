# SPDX-License-Identifier: Apache-2.0
"""What `check_settings` finds, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings import (
    ROOT,
    Finding,
    check_settings,
    converted,
)
from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings_schema import (
    ENCODERS,
    IMMICH_SETTINGS,
    OPERATOR_SETTINGS,
    Choice,
)

DEFAULTS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("immich-defaults.yaml").read_text())
SECRET = "hunter2"
REFUSED = "Immich refuses to start with this value"


def nested(path: str, value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} of "a.b"."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, held in value.items():
        if isinstance(held, Mapping):
            yield from leaves(held, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def test_the_table_has_exactly_the_keys_of_immich_3_1_and_the_one_of_3_2() -> None:
    assert {*leaves(DEFAULTS), "oauth.accountManagementUrl"} == set(IMMICH_SETTINGS)


def test_all_of_immichs_own_defaults_pass() -> None:
    assert check_settings(DEFAULTS) == []


TRASH_AND_TEMPLATE = {
    "trash": {"enabled": True, "days": 30},
    "storageTemplate": {"enabled": True, "template": "{{y}}/{{y}}-{{MM}}-{{dd}}/{{filename}}"},
}


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(None, id="null"),
        pytest.param({}, id="empty"),
        pytest.param(TRASH_AND_TEMPLATE, id="trash and storage template"),
        pytest.param(
            {
                **TRASH_AND_TEMPLATE,
                "ffmpeg": {"crf": 23, "preset": "medium", "targetVideoCodec": "h264"},
                "machineLearning": {
                    "clip": {"enabled": True, "modelName": "ViT-B-32__openai"},
                    "facialRecognition": {"enabled": True, "modelName": "buffalo_l"},
                },
            },
            id="transcoding and models",
        ),
        pytest.param({"machineLearning": {"url": "http://external-ml-service:3003"}}, id="machineLearning.url"),
        pytest.param(
            {
                "notifications": {"smtp": {"transport": {"passwordSecretRef": {"name": "mail", "key": "password"}}}},
                "oauth": {"clientSecretRef": {"name": "login", "key": "secret"}},
            },
            id="references to Secrets",
        ),
        pytest.param({"ffmpeg": {}, "oauth": {}}, id="empty sections"),
    ],
)
def test_settings_as_people_write_them_give_no_finding(user: Any) -> None:
    assert check_settings(user) == []


ACCEPTED = [
    ("backup.database.enabled", "true"),
    ("trash.enabled", "false"),
    ("machineLearning.clip.enabled", False),
    ("ffmpeg.crf", "23"),
    ("ffmpeg.crf", 51),
    ("ffmpeg.bframes", -1),
    ("trash.days", 0),
    ("trash.days", 30.0),
    ("machineLearning.duplicateDetection.maxDistance", 0.001),
    ("integrityChecks.checksumFiles.percentageLimit", 0),
    ("machineLearning.availabilityChecks.timeout", -5),
    ("oauth.defaultStorageQuota", None),
    ("oauth.defaultStorageQuota", 5),
    ("ffmpeg.acceptedVideoCodecs", []),
    ("ffmpeg.acceptedContainers", ["mp4"]),
    ("ffmpeg.realtime.resolutions", [2160]),
    ("machineLearning.urls", ["http://a:3003", "http://b:3003"]),
    ("library.scan.cronExpression", "*/15 2-4 * jan,jul mon-fri"),
    ("nightlyTasks.startTime", "23:59"),
    ("server.externalDomain", ""),
    ("server.externalDomain", "https://photos.example.com"),
    ("map.darkStyle", "pmtiles://tiles.example.com/dark"),
    ("oauth.accountManagementUrl", "https://id.example.com/account"),
    ("oauth.mobileRedirectUri", "not looked at while the override is off"),
    ("notifications.smtp.transport.port", 0),
    ("storageTemplate.template", "{{nonsense}}"),
]


@pytest.mark.parametrize(("path", "value"), [pytest.param(*row, id=f"{row[0]}={row[1]}") for row in ACCEPTED])
def test_a_value_that_immich_starts_with_gives_no_finding(path: str, value: Any) -> None:
    assert check_settings(nested(path, value)) == []


REFUSALS = [
    # path, value, what it says before the consequence, remedy
    ("ffmpeg.crf", 52, "52 is not a whole number from 0 to 51", "Give a whole number from 0 to 51, or leave it out"),
    ("ffmpeg.crf", "many", '"many" is not a whole number from 0 to 51', "Give a whole number"),
    ("ffmpeg.crf", 2.5, "2.5 is not a whole number from 0 to 51", "Give a whole number"),
    ("ffmpeg.crf", {"value": 3}, "a mapping is not a whole number from 0 to 51", "Give a whole number"),
    ("ffmpeg.bframes", "-2", '"-2" is not a whole number from -1 to 16', "Give a whole number"),
    ("trash.days", "30", '"30" is not a whole number, 0 or more', "Write the number without quotes"),
    ("trash.days", "", "an empty string is not a whole number, 0 or more", "Give a whole number"),
    ("trash.days", True, "true is not a whole number, 0 or more", "Give a whole number"),
    ("trash.days", 2**53, "this number is not a whole number, 0 or more", "Give a whole number"),
    ("trash.days", 10**5000, "this number is not a whole number, 0 or more", "Give a whole number"),
    ("trash.days", float("nan"), "nan is not a whole number, 0 or more", "Give a whole number"),
    ("oauth.defaultStorageQuota", "none", '"none" is not a whole number, 0 or more (or null)', "Give a whole number"),
    ("machineLearning.ocr.minDetectionScore", 1.5, "1.5 is not a number from 0.1 to 1", "Give a number from 0.1 to 1"),
    ("notifications.smtp.transport.port", 65536, "65536 is not a whole number from 0 to 65535", "Give a whole number"),
    ("trash.enabled", "yes", '"yes" is not true or false', "Give true or false"),
    ("trash.enabled", "True", '"True" is not true or false', "Write true without quotes"),
    ("trash.enabled", 1, "1 is not true or false", "Give true or false"),
    ("machineLearning.clip.enabled", "true", '"true" is not true or false', "Write true without quotes"),
    ("ffmpeg.targetResolution", 720, "720 is not text", "Put the value in quotes"),
    ("theme.customCss", ["a"], "a list is not text", "Give text"),
    ("ffmpeg.targetVideoCodec", "H264", '"H264" is not h264, hevc, vp9 or av1', "Write h264"),
    ("ffmpeg.accel", False, "false is not nvenc, qsv, vaapi, rkmpp or disabled", "Give nvenc"),
    ("ffmpeg.targetAudioCodec", "libopus", '"libopus" is not mp3, aac, opus or pcm_s16le', "Write opus"),
    ("newVersionCheck.channel", "x" * 99, f'"{"x" * 40}…" is not stable or releaseCandidate', "Give stable or rel"),
    ("ffmpeg.acceptedVideoCodecs", "h264", '"h264" is not a list of h264, hevc, vp9 or av1', "Give a list of h264"),
    ("machineLearning.urls", [], "an empty list is not a list of one or more strings", "Give a list of one or more"),
    (
        "library.scan.cronExpression",
        "0 24 * * *",
        '"0 24 * * *" is not a cron expression of 5 or 6 fields, because its hour is not within 0 to 23',
        "Give a cron expression",
    ),
    ("library.scan.cronExpression", 5, "5 is not a cron expression of 5 or 6 fields", "Give a cron expression"),
    ("nightlyTasks.startTime", "9:05", '"9:05" is not a time as HH:MM', "Write hours and minutes in quotes"),
    ("nightlyTasks.startTime", 750, "750 is not a time as HH:MM", "Write hours and minutes in quotes"),
    (
        "server.externalDomain",
        "photos.example.com",
        "this text is not a URL or an empty string",
        "Write the whole addr",
    ),
    ("map.lightStyle", "", "an empty string is not a URL", "Write the whole address"),
    ("ffmpeg", 5, "this number is given where Immich expects a mapping", "Give a mapping with keys such as crf"),
    (
        "job.ocr",
        [],
        "an empty list is given where Immich expects a mapping",
        "Give a mapping with keys such as concurr",
    ),
]


@pytest.mark.parametrize(("path", "value", "what", "remedy"), [pytest.param(*row, id=row[2][:60]) for row in REFUSALS])
def test_a_value_that_immich_refuses_is_fatal_and_says_why(path: str, value: Any, what: str, remedy: str) -> None:
    finding = only(check_settings(nested(path, value)))

    assert finding.path == f"{ROOT}.{path}"
    assert finding.what == f"{what}; {REFUSED}"
    assert finding.remedy.startswith(remedy)
    assert finding.fatal


@pytest.mark.parametrize("release", [None, (3, 4), (2, 4)], ids=["no-version-in-the-tag", "newer", "older"])
def test_of_a_release_that_nobody_has_looked_at_no_refusal_is_claimed(release: tuple[int, int] | None) -> None:
    [wrong, unknown] = check_settings({"trash": {"days": -1}, "zzz": 1}, release)

    assert wrong.what == "-1 is not a whole number, 0 or more; Immich 3.1, 3.2 and 3.3 refuse to start with this value"
    assert unknown.what == "Immich 3.1, 3.2 and 3.3 do not know this key and ignore it"


def test_the_release_that_reads_the_file_is_the_one_that_is_named() -> None:
    assert only(check_settings({"zzz": 1}, (3, 2))).what == "Immich 3.2 does not know this key and ignores it"


@pytest.mark.parametrize(
    "value", ["https://id.example.com", "no address", 5, None], ids=["right", "no-url", "number", "null"]
)
def test_a_key_of_a_later_release_is_ignored_by_an_earlier_one_whatever_its_value(value: Any) -> None:
    finding = only(check_settings(nested("oauth.accountManagementUrl", value), (3, 1)))

    assert finding.what == "Immich 3.1 does not know this key and ignores it"
    assert finding.remedy == "Remove it, or use Immich 3.2 or newer"
    assert not finding.fatal


def test_a_wrong_value_of_a_key_of_a_later_release_is_refused_by_that_one() -> None:
    settings = nested("oauth.accountManagementUrl", 5)

    assert only(check_settings(settings, (3, 2))).what.endswith(f"; {REFUSED}")
    assert only(check_settings(settings, None)).what.endswith("; Immich 3.2 and 3.3 refuse to start with this value")


def test_of_a_key_of_a_later_release_an_image_that_tells_none_gets_to_know_since_when_it_works() -> None:
    finding = only(check_settings(nested("oauth.accountManagementUrl", "https://id.example.com/account"), None))

    assert finding.what == "Immich 3.2 is the first that knows this key, and the image's tag does not tell the version"
    assert finding.remedy == "If yours is older, it ignores the key: remove it"
    assert not finding.fatal


@pytest.mark.parametrize("release", [(3, 2), (3, 3), (3, 4)], ids=["first", "default", "newer"])
def test_a_key_of_an_earlier_release_is_silent(release: tuple[int, int]) -> None:
    assert check_settings(nested("oauth.accountManagementUrl", "https://id.example.com/account"), release) == []


@pytest.mark.parametrize("release", [(2, 7), (3, 0)], ids=["the-last-2", "the-first-3"])
def test_a_key_of_a_later_release_is_ignored_by_those_before_the_verified_ones_too(release: tuple[int, int]) -> None:
    finding = only(check_settings(nested("oauth.accountManagementUrl", "https://id.example.com/account"), release))

    assert finding.what == f"Immich {release[0]}.{release[1]} does not know this key and ignores it"


def test_items_of_a_list_are_checked_one_by_one() -> None:
    found = check_settings(nested("ffmpeg.acceptedAudioCodecs", ["aac", "libopus", 5]))

    assert [(finding.path, finding.remedy) for finding in found] == [
        (f"{ROOT}.ffmpeg.acceptedAudioCodecs[1]", "Write opus"),
        (f"{ROOT}.ffmpeg.acceptedAudioCodecs[2]", "Give mp3, aac, opus or pcm_s16le, or leave it out"),
    ]


def test_a_resolution_in_quotes_is_refused() -> None:
    found = check_settings(nested("ffmpeg.realtime.resolutions", ["480"]))

    assert only(found).remedy == "Write 480 without quotes"


@pytest.mark.parametrize("path", sorted({*IMMICH_SETTINGS, *OPERATOR_SETTINGS} - {"oauth.defaultStorageQuota"}))
def test_null_is_fatal_everywhere_but_for_the_storage_quota(path: str) -> None:
    finding = next(finding for finding in check_settings(nested(path, None)) if finding.path == f"{ROOT}.{path}")

    assert finding.fatal
    assert "null" in finding.what


@pytest.mark.parametrize("section", sorted({path.split(".")[0] for path in IMMICH_SETTINGS}))
def test_a_section_that_is_null_is_fatal(section: str) -> None:
    assert only(check_settings({section: None})).fatal


@pytest.mark.parametrize(
    ("user", "path", "remedy"),
    [
        pytest.param({"ffmpeg": {"cfr": 5}}, "ffmpeg.cfr", f"Did you mean {ROOT}.ffmpeg.crf?", id="typing error"),
        pytest.param({"Trash": {}}, "Trash", f"Did you mean {ROOT}.trash?", id="case"),
        pytest.param({"crf": 5}, "crf", f"Did you mean {ROOT}.ffmpeg.crf?", id="known elsewhere"),
        pytest.param({"smtp": {}}, "smtp", f"Did you mean {ROOT}.notifications.smtp?", id="section known elsewhere"),
        pytest.param({"zzz": {"a": 1}}, "zzz", "Remove it, unless your Immich is newer and knows it", id="like none"),
        pytest.param({"a b\n": 1}, '["a b\\n"]', "Remove it, unless your Immich is newer and knows it", id="odd name"),
        pytest.param({"trash.days": 3}, '["trash.days"]', "Write it as nested keys", id="dots in one key"),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_closest_known_one(user: Any, path: str, remedy: str) -> None:
    finding = only(check_settings(user))

    assert finding.path in (f"{ROOT}.{path}", f"{ROOT}{path}")
    assert finding.remedy == remedy
    assert not finding.fatal


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        pytest.param("ffmpeg.crf", True, "Immich reads true as the number 1", id="flag as number"),
        pytest.param("ffmpeg.crf", "", "Immich reads an empty string as the number 0", id="empty text as number"),
        pytest.param("trash.days", {}, "an empty mapping has no effect", id="empty mapping"),
        pytest.param("trash.days", {"a": {}}, "an empty mapping has no effect", id="mapping of empty mappings"),
        pytest.param("server.externalDomain", "photos:8080", "this URL does not begin with http", id="host and port"),
    ],
)
def test_a_value_that_immich_reads_in_its_own_way_is_a_warning(path: str, value: Any, what: str) -> None:
    finding = only(check_settings(nested(path, value)))

    assert finding.path == f"{ROOT}.{path}"
    assert finding.what.startswith(what)
    assert not finding.fatal


@pytest.mark.parametrize(
    ("path", "reference"),
    [
        ("oauth.clientSecret", "oauth.clientSecretRef"),
        ("notifications.smtp.transport.password", "notifications.smtp.transport.passwordSecretRef"),
    ],
)
def test_a_secret_in_plain_text_is_a_warning_that_names_the_reference(path: str, reference: str) -> None:
    finding = only(check_settings(nested(path, SECRET)))

    assert finding.path == f"{ROOT}.{path}"
    assert f"{ROOT}.{reference}" in finding.remedy
    assert not finding.fatal


@pytest.mark.parametrize(
    ("reference", "path", "what"),
    [
        pytest.param({"name": "login"}, "", "the reference has no key", id="no key"),
        pytest.param({"key": "secret"}, "", "the reference has no name", id="no name"),
        pytest.param({"name": "", "key": "secret"}, ".name", "an empty string is not a name", id="empty name"),
        pytest.param({"name": "login", "key": 5}, ".key", "this number is not a name", id="number as key"),
        pytest.param(SECRET, "", "this text is given where the operator expects a mapping", id="the secret itself"),
    ],
)
def test_a_reference_that_the_operator_cannot_follow_is_fatal(reference: Any, path: str, what: str) -> None:
    finding = only(check_settings({"oauth": {"clientSecretRef": reference}}))

    assert finding.path == f"{ROOT}.oauth.clientSecretRef{path}"
    assert finding.what.startswith(what)
    assert "Immich" not in finding.what
    assert finding.fatal


@pytest.mark.parametrize(
    "user",
    [
        {"oauth": {"clientSecret": SECRET, "clientSecretRef": SECRET}},
        {"oauth": {"clientSecret": [SECRET], "clientSecretRef": {"name": [SECRET], "key": {SECRET: SECRET}}}},
        {"oauth": {"clientSecretRef": {"value": SECRET}}},
        {"oauth": SECRET, "notifications": {"smtp": {"transport": SECRET}}},
        {"oauth": {"clintSecret": SECRET}},
        {"oauth": {"issuerUrl": f"{SECRET}@id.example.com", "endSessionEndpoint": f"ftp://u:{SECRET}@h"}},
        {"oauth": {"mobileOverrideEnabled": True, "mobileRedirectUri": SECRET}},
        {"notifications": {"smtp": {"transport": {"password": SECRET, "username": {"a": SECRET}}}}},
        {"machineLearning": {"urls": {"a": f"http://u:{SECRET}@ml"}, "url": [f"http://u:{SECRET}@ml"]}},
    ],
)
def test_no_finding_quotes_a_secret(user: Any) -> None:
    found = check_settings(user)

    assert found
    assert SECRET not in repr(found)


def test_a_secret_written_as_a_number_is_not_quoted() -> None:
    finding = only(check_settings({"oauth": {"clientSecret": 271828}}))

    assert finding.what == f"this number is not text; {REFUSED}"


VIDEO_CODECS = IMMICH_SETTINGS["ffmpeg.targetVideoCodec"]
ACCELS = IMMICH_SETTINGS["ffmpeg.accel"]
assert isinstance(VIDEO_CODECS, Choice)
assert isinstance(ACCELS, Choice)


@pytest.mark.parametrize("codec", VIDEO_CODECS.options)
@pytest.mark.parametrize("accel", ACCELS.options)
def test_only_a_codec_that_the_hardware_cannot_encode_is_a_warning(accel: str, codec: str) -> None:
    fails = (accel, codec) in {("nvenc", "vp9"), ("rkmpp", "vp9"), ("rkmpp", "av1")}

    found = check_settings({"ffmpeg": {"accel": accel, "targetVideoCodec": codec}})

    assert [(finding.path, finding.fatal) for finding in found] == [(f"{ROOT}.ffmpeg.accel", False)] * fails


def test_the_remedy_for_a_codec_names_what_would_work() -> None:
    finding = only(check_settings({"ffmpeg": {"accel": "rkmpp", "targetVideoCodec": "av1"}}))

    assert finding.remedy == "Set targetVideoCodec to h264 or hevc, or accel to nvenc, qsv, vaapi or disabled"


def test_every_encoder_is_a_codec_that_immich_knows() -> None:
    assert isinstance(VIDEO_CODECS, Choice)
    assert {codec for codecs in ENCODERS.values() for codec in codecs} <= set(VIDEO_CODECS.options)


def test_the_mobile_redirect_is_checked_once_the_override_is_on() -> None:
    found = check_settings({"oauth": {"mobileOverrideEnabled": "true", "mobileRedirectUri": "photos"}})

    finding = only(found)
    assert finding.path == f"{ROOT}.oauth.mobileRedirectUri"
    assert finding.fatal


def test_fatal_findings_come_first_then_the_order_of_paths() -> None:
    found = check_settings({"trash": {"days": -1}, "abc": 1, "backup": {"x": 1, "database": {"keepLastAmount": 0}}})

    assert [(finding.fatal, finding.path.removeprefix(f"{ROOT}.")) for finding in found] == [
        (True, "backup.database.keepLastAmount"),
        (True, "trash.days"),
        (False, "abc"),
        (False, "backup.x"),
    ]


def test_the_order_of_the_users_keys_does_not_matter() -> None:
    one = {"trash": {"days": -1, "enabled": 5}, "zz": 1}
    other = {"zz": 1, "trash": {"enabled": 5, "days": -1}}

    assert check_settings(one) == check_settings(other)


def test_a_long_list_of_wrong_items_does_not_flood_the_report() -> None:
    found = check_settings(nested("ffmpeg.acceptedVideoCodecs", ["x"] * 100_000))

    assert len(found) == 5


def test_settings_that_are_no_mapping_are_one_finding() -> None:
    finding = only(check_settings(cast(Any, ["trash"])))

    assert finding.path == ROOT
    assert finding.fatal


def test_nesting_of_any_depth_is_no_problem() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = {"a": deep}

    found = check_settings({"trash": {"days": deep}, "x": deep})

    assert [finding.path for finding in found] == [f"{ROOT}.trash.days", f"{ROOT}.x"]


text = st.text("aB1 .:/*-\n\x00é🎞\u2028\ud800", max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
known_paths = st.sampled_from(sorted({*IMMICH_SETTINGS, *OPERATOR_SETTINGS}))
names = st.sampled_from(sorted({name for path in IMMICH_SETTINGS for name in path.split(".")}))
likely_values = (
    json_values
    | st.sampled_from(["true", "h264", "libopus", "nvenc", "0 0 * * *", "@daily", "http://a:1", "00:00", "\ud800"])
    | st.dictionaries(names | text, json_values, max_size=3)
)


@given(user=json_values | st.builds(nested, known_paths, likely_values))
@settings(max_examples=300)  # there are about as many known paths, and half of the examples are of one
def test_it_answers_the_same_for_any_json_value_and_never_raises(user: Any) -> None:
    before = repr(user)

    found = check_settings(user)

    assert found == check_settings(user)
    assert repr(user) == before
    for finding in found:
        assert finding.path.startswith(ROOT)
        assert finding.what
        assert finding.remedy
        json.dumps(finding).encode()
        "".join(finding[:3]).encode()


@pytest.mark.parametrize(
    ("path", "written", "meant"),
    [
        pytest.param("machineLearning.facialRecognition.minScore", "0.5", 0.5, id="number"),
        pytest.param("machineLearning.facialRecognition.minScore", " 1 ", 1, id="with-blanks"),
        pytest.param("trash.days", "30", 30, id="whole-number"),
        pytest.param("trash.days", "3e1", 30, id="as-javascript-reads-it"),
        pytest.param("machineLearning.clip.enabled", "false", False, id="flag"),
        pytest.param("trash.enabled", "TRUE", True, id="flag-in-capitals"),
        pytest.param("oauth.defaultStorageQuota", "5", 5, id="nullable"),
        pytest.param("ffmpeg.realtime.resolutions", ["720", 480], [720, 480], id="choices"),
    ],
)
def test_a_text_that_says_a_number_or_a_flag_is_written_as_one(path: str, written: Any, meant: Any) -> None:
    settings = converted(nested(path, written))

    assert repr(settings) == repr(nested(path, meant))
    assert check_settings(settings) == []


@pytest.mark.parametrize(
    ("path", "written"),
    [
        pytest.param("trash.days", "1.5", id="not-whole"),
        pytest.param("trash.days", "", id="empty"),
        pytest.param("trash.days", "many", id="word"),
        pytest.param("machineLearning.facialRecognition.minScore", "7", id="out-of-bounds"),
        pytest.param("machineLearning.clip.enabled", "yes", id="no-flag"),
        pytest.param("machineLearning.clip.modelName", 5, id="number-for-a-text"),
        pytest.param("machineLearning.clip", "on", id="text-for-a-section"),
        pytest.param("ffmpeg.crf", "23", id="taken-by-immich-itself"),
        pytest.param("trash.enabled", "true", id="flag-taken-by-immich-itself"),
        pytest.param("ffmpeg.targetResolution", "720", id="a-text-is-wanted"),
        pytest.param("newerThanThis.limit", "5", id="unknown-key"),
        pytest.param("newerThanThis", ["5", {"a": "1"}], id="unknown-section"),
    ],
)
def test_everything_else_stays_as_written(path: str, written: Any) -> None:
    assert repr(converted(nested(path, written))) == repr(nested(path, written))
