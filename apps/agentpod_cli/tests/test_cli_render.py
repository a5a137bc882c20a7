"""Amounts, times, widths and foreign text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agentpod_cli.render import amounts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "-"),
        (0, "0B"),
        (1023, "1023B"),
        (2**30, "1GiB"),
        (1.5 * 2**30, "1.5GiB"),
        (300 * 2**20, "300MiB"),
        (2**50, "1024TiB"),
    ],
)
def test_memory_is_written_in_binary_units(amount, text):
    """As containers' limits are given."""
    assert amounts.memory(amount) == text


@pytest.mark.parametrize(("amount", "text"), [(None, "-"), (0, "0"), (125, "0.125"), (2000, "2"), (12345, "12.3")])
def test_processors_are_written_in_cores(amount, text):
    """Not in the millicores of the API."""
    assert amounts.cpus(amount) == text


@pytest.mark.parametrize(
    ("ago", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (90000, "1d"), (-5, "0s")]
)
def test_ages_are_short(ago, text):
    """One unit is enough in a table; a clock that is behind gives no negative age."""
    assert amounts.age((NOW - timedelta(seconds=ago)).isoformat(), NOW) == text


def test_times_are_shown_in_the_readers_zone():
    """UTC inside, local at the edge."""
    assert amounts.local("2026-03-01T12:00:00Z", timezone(timedelta(hours=8))) == "2026-03-01 20:00:00"
    assert amounts.local(None) == amounts.local("nonsense") == "-"


@pytest.mark.parametrize(("amount", "text"), [(0.012, "12 ms"), (3.21, "3.2 s"), (125, "2 min 5 s")])
def test_spans_are_readable(amount, text):
    """As a person would say them."""
    assert amounts.seconds(amount) == text


def test_widths_count_terminal_columns():
    """Chinese takes two columns, a combining accent none."""
    assert amounts.width("租户ab") == 6
    assert amounts.width("e\u0301") == 1


def test_foreign_text_becomes_one_harmless_line():
    """What an agent or a user wrote cannot move the cursor, colour the screen or break a table."""
    assert amounts.clean("a\n\x1b[31mb\tc\u202e") == "a [31mb c"
