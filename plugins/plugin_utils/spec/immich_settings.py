# SPDX-License-Identifier: Apache-2.0
"""Checks `spec.immich.configuration` before Immich does, because Immich answers a wrong value by not starting.

How Immich reads the file (v3.1.0, `server/src/utils/config.ts`): each leaf is laid over the defaults, lists whole; a
null replaces the default and is then refused; an empty mapping adds nothing; an unknown key is a warning in its log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, TypeGuard

from ..kube.suggestions import closest
from ..kube.values import dig
from .immich_settings_schema import (
    ENCODERS,
    IMMICH_SETTINGS,
    NEWEST_RELEASE,
    OPERATOR_SETTINGS,
    SECRET_REFERENCES,
    SINCE,
    VERIFIED_RELEASES,
    Choice,
    Cron,
    Flag,
    Items,
    Kind,
    Number,
    Release,
    Text,
    TimeOfDay,
    Url,
    listed,
)
from .immich_settings_values import cron_fault, is_time_of_day, is_url, is_web_url, number_in_text

__all__ = ["ROOT", "Finding", "check_settings", "converted"]

ROOT = "spec.immich.configuration"

IMMICH, OPERATOR = "Immich", "the operator"
_UNUSABLE = "the operator cannot use this value"
_LARGEST_WHOLE = 2**53 - 1
_LONGEST_QUOTE = 40
# Beyond these a user has a larger problem than a typing error, and the work would grow with what they sent.
_MOST_PER_LIST = 5
_MOST_HINTED_KEYS = 100
_FLAG_TEXTS = ("true", "false")
_VIDEO_CODECS = ("h264", "hevc", "vp9", "av1")
_EXAMPLE_URL = "the whole address, such as https://photos.example.com"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Finding(NamedTuple):
    """Something about one setting that the user should know; holds no secret value.

    `path` is the setting as the user wrote it (`spec.immich.configuration.ffmpeg.crf`), `what` a clause without a full
    stop, `remedy` what to do about it. `fatal`: Immich would not start with the file, or not with what was meant.
    """

    path: str
    what: str
    remedy: str
    fatal: bool
    shows_secret: bool = False
    """The value is fine, but has no place in a custom resource."""
    refused_by: str = ""
    """Who can't use the value for sure: IMMICH (of a release in `VERIFIED_RELEASES`), OPERATOR or nobody."""


def check_settings(settings: Mapping[str, Any], release: Release | None = NEWEST_RELEASE) -> list[Finding]:
    """All findings about the user's Immich settings, the fatal ones first, then by path; never raises.

    `settings` is the value of `spec.immich.configuration` as written, before references are resolved. Null stands for
    no settings. `release` is that of the Immich that reads them, None where it is not known.
    """
    if settings is None:
        return []
    found = [*_check_section(ROOT, settings, _tree(), release), *_check_meaning(settings, release)]
    return sorted(found, key=lambda finding: (not finding.fatal, finding))


def converted(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings with texts such as "0.5" and "True" as the number or flag that Immich wants there.

    The operator written in Go took some numbers as texts only. What Immich takes as it is, and what is no number, stays
    as written.
    """
    result: Mapping[str, Any] = _converted(settings, _tree())
    return result


def _converted(value: Any, known: Any) -> Any:
    if isinstance(known, dict):
        if not isinstance(value, Mapping):
            return value
        return {key: _converted(held, known.get(str(key))) for key, held in value.items()}
    if isinstance(known, Items) and _is_list(value):
        return [_converted(item, known.each) for item in value]
    if known is None or not isinstance(value, str) or _accepts(value, known):
        return value
    meant = _meant(value.strip(), known)
    return value if meant is None or not _accepts(meant, known) else meant


def _meant(text: str, kind: Kind) -> bool | int | float | str | None:
    """What the text says where no text is wanted, None when it says nothing of that kind."""
    match kind:
        case Number() if text:
            number = number_in_text(text)
            return int(number) if number is not None and number == int(number) else number
        case Flag() if text.lower() in _FLAG_TEXTS:
            return text.lower() == "true"
        case Choice():
            return next((option for option in kind.options if str(option) == text), None)
    return None


@cache
def _tree() -> dict[str, Any]:
    """The two tables as nested mappings, a `Kind` at each leaf."""
    root: dict[str, Any] = {}
    for path, kind in {**IMMICH_SETTINGS, **OPERATOR_SETTINGS}.items():
        *sections, leaf = path.split(".")
        section = root
        for name in sections:
            section = section.setdefault(name, {})
        section[leaf] = kind
    return root


@cache
def _homes() -> dict[str, list[str]]:
    """Name of a key or section -> the paths that end in it."""
    homes: dict[str, list[str]] = {}
    for path in IMMICH_SETTINGS:
        names = path.split(".")
        for depth, name in enumerate(names, 1):
            home = ".".join(names[:depth])
            if home not in homes.setdefault(name, []):
                homes[name].append(home)
    return homes


# ---- Keys and types


def _check_section(path: str, value: Any, known: Mapping[str, Any], release: Release | None) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        reader, consequence = _refuser(path, release)
        yield Finding(
            path,
            f"{_shown(value, hidden=True)} is given where {reader} expects a mapping; {consequence}",
            f"Give a mapping with keys such as {', '.join(list(known)[:3])}, or remove the key",
            fatal=True,
            refused_by=reader,
        )
        return
    with_hints = len(value) <= _MOST_HINTED_KEYS
    for raw_key, held in value.items():
        key = str(raw_key)
        inner = _joined(path, key)
        below = known.get(key)
        if below is None:
            yield _unknown_key(path, key, known, release, with_hints=with_hints)
        elif isinstance(below, dict):
            yield from _check_section(inner, held, below, release)
        elif release and release < (since := SINCE.get(inner.removeprefix(f"{ROOT}."), release)):
            remedy = f"Remove it, or use Immich {_named(since)} or newer"
            yield Finding(inner, _ignored([release]), remedy, fatal=False)
        else:
            found = list(_check_value(inner, held, below, release))
            yield from found
            if not (release or found) and (first := SINCE.get(inner.removeprefix(f"{ROOT}."))):
                what = f"Immich {_named(first)} is the first that knows this key, and the image's tag does not tell the version"
                yield Finding(inner, what, "If yours is older, it ignores the key: remove it", fatal=False)


def _unknown_key(
    path: str, key: str, known: Mapping[str, Any], release: Release | None, *, with_hints: bool
) -> Finding:
    """Not fatal: Immich drops the key, and a newer Immich may know it."""
    where = _joined(path, key)
    if _is_operators(path):
        return Finding(where, "the operator does not know this key", f"Use {' and '.join(known)}", fatal=False)
    if "." in key and f"{path}.{key}".removeprefix(f"{ROOT}.") in IMMICH_SETTINGS:
        return Finding(where, "this is one key with dots in its name", "Write it as nested keys", fatal=False)
    meant = closest(key, known) if with_hints else None
    homes = _homes().get(key, [])
    if meant is not None:
        remedy = f"Did you mean {path}.{meant}?"
    elif len(homes) == 1:
        remedy = f"Did you mean {ROOT}.{homes[0]}?"
    else:
        remedy = "Remove it, unless your Immich is newer and knows it"
    return Finding(where, _ignored(_told_about(where, release)), remedy, fatal=False)


def _check_value(path: str, value: Any, kind: Kind, release: Release | None) -> Iterator[Finding]:
    if isinstance(kind, Items) and _is_list(value) and (value or not kind.filled):
        wrong = ((index, item) for index, item in enumerate(value) if not _accepts(item, kind.each))
        for index, item in islice(wrong, _MOST_PER_LIST):
            yield _refusal(f"{path}[{index}]", item, kind.each, release)
    elif isinstance(value, Mapping) and not _has_leaf(value) and not _is_operators(path):
        what = "an empty mapping has no effect, so Immich keeps its default"
        yield Finding(path, what, f"Remove the key or give {kind.takes}", fatal=False)
    elif value is None and isinstance(kind, Number) and kind.loose:
        # The one null that Immich itself would let pass; nobody who writes it means 0 (lossless video, for one).
        what = "null replaces Immich's default and is then read as 0"
        yield Finding(path, what, f"Remove the key or give {kind.takes}", fatal=True)
    elif not _accepts(value, kind):
        yield _refusal(path, value, kind, release)
    else:
        yield from _check_reading(path, value, kind)


def _accepts(value: Any, kind: Kind) -> bool:
    match kind:
        case Text():
            return isinstance(value, str) and (bool(value) or not kind.filled)
        case Flag():
            return isinstance(value, bool) or (not kind.strict and isinstance(value, str) and value in _FLAG_TEXTS)
        case Number():
            return _is_within(value, kind)
        case Choice():
            return isinstance(value, str | int | float) and not isinstance(value, bool) and value in kind.options
        case Url():
            return isinstance(value, str) and (is_url(value) or (kind.optional and not value))
        case Cron():
            return isinstance(value, str) and not cron_fault(value)
        case TimeOfDay():
            return isinstance(value, str) and is_time_of_day(value)
        case Items():
            return (
                _is_list(value)
                and (bool(value) or not kind.filled)
                and all(_accepts(item, kind.each) for item in value)
            )


def _is_within(value: Any, kind: Number) -> bool:
    number = number_in_text(value) if kind.loose and isinstance(value, str) else value
    if number is None:
        return kind.nullable and value is None
    if not isinstance(number, int | float) or (isinstance(number, bool) and not kind.loose):
        return False
    if kind.whole and not (-_LARGEST_WHOLE <= number <= _LARGEST_WHOLE and number == int(number)):
        return False
    least = -float("inf") if kind.least is None else kind.least
    most = float("inf") if kind.most is None else kind.most
    return least <= number <= most and abs(number) != float("inf")


def _check_reading(path: str, value: Any, kind: Kind) -> Iterator[Finding]:
    """Values that Immich accepts but reads differently from how they look."""
    if isinstance(kind, Number) and kind.loose and (isinstance(value, bool) or value == ""):
        what = f"Immich reads {_shown(value)} as the number {int(bool(value))}"
        yield Finding(path, what, f"Give {kind.takes}", fatal=False)
    elif isinstance(kind, Url) and kind.web and value and not is_web_url(value):
        what = "this URL does not begin with http:// or https://"
        yield Finding(path, what, f"Write {_EXAMPLE_URL}", fatal=False)


# ---- Meaning


def _check_meaning(settings: Any, release: Release | None) -> Iterator[Finding]:
    """What only shows when keys are read together, and secrets in plain text."""
    for path, reference in SECRET_REFERENCES.items():
        referred = dig(settings, *reference.split("."))
        secret = dig(settings, *path.split("."))
        if isinstance(secret, str) and secret:
            remedy = (
                f"Remove it, {ROOT}.{reference} replaces it"
                if referred
                else f"Put it into a Secret and name that in {ROOT}.{reference} (name and key)"
            )
            what = "the custom resource holds a secret in plain text"
            yield Finding(f"{ROOT}.{path}", what, remedy, fatal=False, shows_secret=True)
        if isinstance(referred, Mapping):
            for part in ("name", "key"):
                if part not in referred:
                    what = f"the reference has no {part}, so the operator cannot find the secret"
                    yield Finding(f"{ROOT}.{reference}", what, f"Add {part}", fatal=True, refused_by=OPERATOR)

    accel = dig(settings, "ffmpeg", "accel")
    codec = dig(settings, "ffmpeg", "targetVideoCodec")
    encoders = ENCODERS.get(accel) if isinstance(accel, str) else None
    if encoders and codec in _VIDEO_CODECS and codec not in encoders:
        what = f"{accel} has no encoder for {codec} (ffmpeg.targetVideoCodec), so video jobs fail"
        able = [name for name, codecs in ENCODERS.items() if codec in codecs]
        remedy = f"Set targetVideoCodec to {listed(encoders)}, or accel to {listed([*able, 'disabled'])}"
        yield Finding(f"{ROOT}.ffmpeg.accel", what, remedy, fatal=False)

    redirect = dig(settings, "oauth", "mobileRedirectUri")
    overrides = dig(settings, "oauth", "mobileOverrideEnabled") in (True, "true")
    if overrides and isinstance(redirect, str) and redirect and not is_url(redirect):
        path = f"{ROOT}.oauth.mobileRedirectUri"
        what = f"this text is not a URL, which mobileOverrideEnabled requires; {_refuser(path, release)[1]}"
        remedy = "Write the whole URL, or set mobileOverrideEnabled to false"
        yield Finding(path, what, remedy, fatal=True, refused_by=IMMICH)


# ---- Wording


def _told_about(path: str, release: Release | None) -> list[Release]:
    """The releases that a message is true of: the one that reads the file, or those that are known to check this key."""
    known = sorted(VERIFIED_RELEASES)
    if release in VERIFIED_RELEASES:
        return [release]
    first = SINCE.get(path.removeprefix(f"{ROOT}."), known[0])
    return [each for each in known if each >= first]


def _named(*releases: Release) -> str:
    """3.1, 3.2 and 3.3"""
    *others, last = (f"{major}.{minor}" for major, minor in releases)
    return f"{', '.join(others)} and {last}" if others else last


def _ignored(releases: Sequence[Release]) -> str:
    verbs = ("do", "ignore") if len(releases) > 1 else ("does", "ignores")
    return f"Immich {_named(*releases)} {verbs[0]} not know this key and {verbs[1]} it"


def _refuser(path: str, release: Release | None) -> tuple[str, str]:
    """(who can't use a wrong value, the consequence)"""
    if _is_operators(path):
        return OPERATOR, _UNUSABLE
    if release in VERIFIED_RELEASES:
        return IMMICH, "Immich refuses to start with this value"
    releases = _told_about(path, release)
    return IMMICH, f"Immich {_named(*releases)} {'refuse' if len(releases) > 1 else 'refuses'} to start with this value"


def _refusal(path: str, value: Any, kind: Kind, release: Release | None) -> Finding:
    hidden = isinstance(kind, Url) or (isinstance(kind, Text) and kind.secret)
    what = f"{_shown(value, hidden=hidden)} is not {kind.takes}"
    if isinstance(kind, Cron) and isinstance(value, str):
        what = f"{what}, because {cron_fault(value)}"
    reader, consequence = _refuser(path, release)
    return Finding(path, f"{what}; {consequence}", _remedy(value, kind), fatal=True, refused_by=reader)


def _remedy(value: Any, kind: Kind) -> str:
    """What to write instead, as closely as the value tells."""
    match kind, value:
        case Choice(), str():
            # Immich 3 dropped the encoder's name for the codec's.
            meant = "opus" if value == "libopus" else closest(value, [str(option) for option in kind.options])
            if meant is not None:
                return f"Write {meant}" if meant in kind.options else f"Write {meant} without quotes"
        case Text(), bool() | int() | float():
            return "Put the value in quotes"
        case Flag(), str() if value.lower() in _FLAG_TEXTS:
            return f"Write {value.lower()} without quotes"
        case Number(), str() if value.strip() and _is_within(value, replace(kind, loose=True)):
            return "Write the number without quotes"
        case Url(), str():
            return f"Write {_EXAMPLE_URL}"
        case TimeOfDay(), _:
            return 'Write hours and minutes in quotes, such as "03:30"'
        case Text(filled=True), _:
            return f"Give {kind.takes}"
    return f"Give {kind.takes}, or leave it out"


def _shown(value: Any, *, hidden: bool = False) -> str:
    """The value as messages name it; texts and numbers in short, or only by their type when `hidden`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() if not value:
            return "an empty string"
        case str():
            return "this text" if hidden else _quoted(value)
        # Python refuses to print whole numbers of many digits.
        case int() | float():
            return "this number" if hidden or abs(value) > _LARGEST_WHOLE else str(value)
        case Mapping():
            return "a mapping"
    if _is_list(value):
        return "a list" if value else "an empty list"
    return f"a value of type {type(value).__name__}"


def _quoted(text: str) -> str:
    short = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
    # Escapes where a terminal or an encoder would stumble: control characters, lone surrogates.
    return json.dumps(short, ensure_ascii=not short.isprintable())


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[{_quoted(key)}]"


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_operators(path: str) -> bool:
    """Whether a key or section is resolved by the operator and never reaches Immich."""
    relative = path.removeprefix(f"{ROOT}.")
    return relative in OPERATOR_SETTINGS or relative in SECRET_REFERENCES.values()


def _has_leaf(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds anything but empty mappings. No recursion: users may nest as deep as they like."""
    pending: list[Mapping[Any, Any]] = [value]
    while pending:
        for held in pending.pop().values():
            if not isinstance(held, Mapping):
                return True
            pending.append(held)
    return False
