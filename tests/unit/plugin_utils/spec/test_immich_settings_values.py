# SPDX-License-Identifier: Apache-2.0
"""Texts as Immich's own libraries judge them: `cron` 4, Node's URL parser, JavaScript's `Number()`."""

from __future__ import annotations

import time

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.spec.immich_settings_values import (
    cron_fault,
    is_time_of_day,
    is_url,
    is_web_url,
    number_in_text,
)


@pytest.mark.parametrize(
    "text",
    [
        "0 02 * * *",
        "0 0 2 * * *",
        "*/5 * * * *",
        "5/15 * * * *",
        "0-30/5 * * * *",
        "1,2,3 * * * *",
        "1-5,10-12,*/7 * * * *",
        "0 0 * * mon",
        "0 0 * JAN MON-FRI",
        "* * * * 7",
        "0 0 * * 6-7",
        "5-5 * * * *",
        "007 * * * *",
        "*/100 * * * *",
        "  0\t0  * * * ",
        "0 0 31 2 *",
        "@daily",
        "@Weekdays",
    ],
)
def test_a_valid_cron_expression_has_no_fault(text: str) -> None:
    assert cron_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it has 0 fields instead of 5 or 6"),
        ("2026-01-01", "it has 1 field instead of 5 or 6"),
        ("* * * *", "it has 4 fields instead of 5 or 6"),
        ("* * * * * * *", "it has 7 fields instead of 5 or 6"),
        ("60 * * * *", "its minute is not within 0 to 59"),
        ("60 * * * * *", "its second is not within 0 to 59"),
        ("* 24 * * *", "its hour is not within 0 to 23"),
        ("* * 0 * *", "its day of the month is not within 1 to 31"),
        ("* * * 13 *", "its month is not within 1 to 12"),
        ("* * * * 8", "its day of the week is not within 0 to 7"),
        ("9" * 5000 + " * * * *", "its minute is not within 0 to 59"),
        ("5-1 * * * *", "its minute is a range that ends before it begins"),
        ("* * * * fri-mon", "its day of the week is a range that ends before it begins"),
        ("*/0 * * * *", "its minute has a step of 0"),
        (
            "1,,2 * * * *",
            "its minute is not *, a number, a range such as 0-59, or one of these with a step such as */2",
        ),
        ("? * * * *", "its minute is not *, a number, a range such as 0-59, or one of these with a step such as */2"),
        ("1* * * * *", "its minute is not *, a number, a range such as 0-59, or one of these with a step such as */2"),
        ("every day", "it holds letters that are neither a month (jan to dec) nor a weekday (sun to sat)"),
        ("0 0 L * *", "it holds letters that are neither a month (jan to dec) nor a weekday (sun to sat)"),
        ("0 0 * * monday", "it holds letters that are neither a month (jan to dec) nor a weekday (sun to sat)"),
        ("@never", "it holds letters that are neither a month (jan to dec) nor a weekday (sun to sat)"),
    ],
)
def test_a_wrong_cron_expression_is_explained(text: str, fault: str) -> None:
    assert cron_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00", True),
        ("09:05", True),
        ("23:59", True),
        ("24:00", False),
        ("12:60", False),
        ("9:05", False),
        ("00:00:00", False),
        ("00:00\n", False),
        ("\u0660\u0660:\u0660\u0660", False),
    ],
)
def test_a_time_of_day_is_hours_and_minutes_in_two_digits_each(text: str, expected: bool) -> None:
    assert is_time_of_day(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "http://a",
        "HTTPS://photos.example.com/",
        " http://a ",
        "http:a",
        "http:\\\\a",
        "http://user:p@ss@host:8080/path?query#fragment",
        "http://[::1]:3003",
        "http://a:",
        "http://a:00080",
        "http://a_b",
        "http://-a",
        "http://ä.example",
        "https://{{host}}",
        "http://0x7f.1",
        "http://010.0377.0.1",
        "http://255.255.255.255",
        "http://a/with space",
        "app.immich:///oauth-callback",
        "file:///x",
        "mailto:x",
        "localhost:2283",
    ],
)
def test_a_text_that_the_url_parser_takes_is_a_url(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "photos.example.com",
        "//a",
        "/path",
        "https://",
        "http://user@",
        "http://:80",
        "http://?x",
        "http://a:x",
        "http://a:65536",
        "http://a:8080:8080",
        "http://a:" + "9" * 5000,
        "http://a b/c",
        "http://a%20b",
        "http://%zz",
        "http://a<b",
        "http://[::1",
        "http://[::1]x",
        "http://[fe80::1%25eth0]",
        "http://999.1.1.1",
        "ht!tp://a",
        "1a://b",
    ],
)
def test_a_text_that_the_url_parser_refuses_is_none(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("https://a", True), ("HTTP:a", True), ("photos:8080", False), ("httpx://a", False), ("", False)],
)
def test_a_web_url_is_one_of_http_or_https(text: str, expected: bool) -> None:
    assert is_web_url(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23", 23.0),
        (" -1\n", -1.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e1", 10.0),
        ("0x1F", 31.0),
        ("0b11", 3.0),
        ("0o17", 15.0),
        ("", 0.0),
        ("\ufeff", 0.0),
        ("abc", None),
        ("1_0", None),
        ("-0x1", None),
        ("٣", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e400", None),
        ("9" * 5000, None),
        ("0x" + "f" * 5000, None),
    ],
)
def test_a_number_in_a_text_is_what_javascript_makes_of_it(text: str, expected: float | None) -> None:
    assert number_in_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1" * 200_000 + "x",
        "1-" * 100_000,
        "*/" * 100_000,
        "http://" + "a.1" * 70_000 + "%",
        "a" * 200_000,
        "," * 200_000,
    ],
)
def test_a_long_text_takes_no_more_than_a_glance(text: str) -> None:
    started = time.process_time()

    cron_fault(text)
    is_url(text)
    number_in_text(text)
    is_time_of_day(text)

    assert time.process_time() - started < 2.0
