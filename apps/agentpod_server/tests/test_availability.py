"""Facts about how availability is reckoned from transitions: no database, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentpod_core.values.status import Condition, ConditionType, PodStatus, Record
from agentpod_server.availability import (
    Availability,
    Span,
    State,
    Transition,
    days,
    measured,
    month,
    months,
    state_of,
)

START = datetime(2026, 11, 1, tzinfo=UTC)


def _at(hours):
    return START + timedelta(hours=hours)


def _history(*changes):
    return [Transition(_at(hours), State(state)) for hours, state in changes]


def _one(*changes, gaps=(), begin=0, end=24, now=240):
    spans = [Span(_at(begin), _at(end))]
    return measured([_history(*changes)], [Span(_at(a), _at(b)) for a, b in gaps], spans, now=_at(now))[0]


def _hours(found):
    return found.ready / 3600, found.wanted / 3600, found.unknown / 3600


def test_ready_time_over_wanted_time():
    """A pod that was down for two of ten hours was available for 80 percent of them."""
    found = _one((0, "ready"), (8, "not-ready"), (10, "not-wanted"))

    assert _hours(found) == (8, 10, 0)
    assert found.percent == 80.0


def test_who_was_never_ready_was_not_owed_to_anybody():
    """Without a transition nothing was wanted, and there is no number."""
    found = _one()

    assert _hours(found) == (0, 0, 0)
    assert found.percent is None


def test_what_began_before_counts_from_the_begin_of_the_span():
    """The transition before a span says what the pod was when it began."""
    assert _hours(_one((-5, "ready"), (6, "not-ready"), begin=0, end=24)) == (6, 24, 0)


def test_a_time_that_has_not_come_counts_for_nothing():
    """A day that goes on is measured until now."""
    assert _hours(_one((0, "ready"), end=24, now=3)) == (3, 3, 0)


def test_while_nobody_led_it_is_unknown():
    """Our own downtime is neither up nor down: it is taken out of both sides of the division."""
    found = _one((0, "ready"), (12, "not-ready"), gaps=[(6, 18)])

    assert _hours(found) == (6, 24, 12)
    assert found.percent == 50.0


def test_a_stopped_pod_is_not_unknown_in_a_gap():
    """What nobody wants cannot be missed."""
    assert _hours(_one((0, "ready"), (6, "not-wanted"), gaps=[(5, 18)])) == (5, 6, 1)


def test_gaps_that_overlap_count_once():
    """Two servers may have noted the same downtime."""
    assert _hours(_one((0, "ready"), gaps=[(1, 5), (2, 3), (4, 6)])) == (19, 24, 5)


def test_only_what_is_unknown_has_no_number():
    """A pod that nobody could see all day is not said to have been up, nor down."""
    found = _one((0, "unknown"))

    assert _hours(found) == (0, 24, 24)
    assert found.percent is None


def test_a_number_is_never_rounded_up():
    """One missing second of a month does not read 100 percent."""
    span = month(START)
    found = Availability(span=span, ready=30 * 86400.0 - 1, wanted=30 * 86400.0)

    assert found.percent == 99.999


def test_pods_of_a_tenant_are_measured_together():
    """Each pod's hours count alike."""
    histories = [_history((0, "ready")), _history((0, "not-ready"), (6, "not-wanted"))]
    found = measured(histories, [], [Span(_at(0), _at(24))], now=_at(240))[0]

    assert _hours(found) == (24, 30, 0)


def test_days_are_of_utc_and_cut_at_both_ends():
    """The first and the last day may be parts of one."""
    found = days(_at(20), _at(50))

    assert [(span.begin, span.end) for span in found] == [
        (_at(20), _at(24)),
        (_at(24), _at(48)),
        (_at(48), _at(50)),
    ]


def test_months_are_as_long_as_they_are():
    """November ends on the 30th, and February on the 28th."""
    found = months(datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC))

    assert [(span.end - span.begin).days for span in found] == [30, 31, 31, 28]


CHANGES = st.lists(st.tuples(st.integers(0, 200), st.sampled_from(State)), max_size=12)
GAPS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=5)


@given(changes=CHANGES, gaps=GAPS)
def test_the_days_of_a_time_add_up_to_it(changes, gaps):
    """However states and gaps lie, days measured apart make the whole, and no part is larger than its whole."""
    history = [Transition(_at(hours), state) for hours, state in sorted(dict(changes).items())]
    blind = [Span(_at(begin), _at(begin + length)) for begin, length in gaps]
    begin, end, now = _at(7), _at(190), _at(180)

    whole = measured([history], blind, [Span(begin, end)], now=now)[0]
    parts = measured([history], blind, days(begin, end), now=now)

    for name in ("ready", "wanted", "unknown"):
        assert sum(getattr(part, name) for part in parts) == pytest.approx(getattr(whole, name))
    assert whole.ready + whole.unknown <= whole.wanted <= (now - begin).total_seconds()


@given(changes=CHANGES, gaps=GAPS)
def test_each_hour_is_what_it_was(changes, gaps):
    """The measure is the same as asking hour by hour."""
    history = [Transition(_at(hours), state) for hours, state in sorted(dict(changes).items())]
    blind = [Span(_at(begin), _at(begin + length)) for begin, length in gaps]
    counted = dict.fromkeys(State, 0)
    for hour in range(7, 190):
        before = [one.state for one in history if one.at <= _at(hour)]
        state = before[-1] if before else State.NOT_WANTED
        in_gap = any(gap.begin <= _at(hour) < gap.end for gap in blind)
        counted[State.UNKNOWN if in_gap and state is not State.NOT_WANTED else state] += 1

    found = measured([history], blind, [Span(_at(7), _at(190))], now=_at(240))[0]

    assert _hours(found) == (
        counted[State.READY],
        sum(counted.values()) - counted[State.NOT_WANTED],
        counted[State.UNKNOWN],
    )


def _status(status, reason):
    return PodStatus(conditions=(Condition(type=ConditionType.READY, status=status, reason=reason, since=START),))


@pytest.mark.parametrize(
    ("status", "record", "expected"),
    [
        (_status(True, "Answering"), Record(was_ready=True), State.READY),
        (_status(False, "NotRunning"), Record(), State.NOT_READY),
        (_status(False, "NotWanted"), Record(), State.NOT_WANTED),
        (_status(None, "EngineUnreachable"), Record(was_ready=True), State.UNKNOWN),
        (_status(None, "UnknownProbe"), Record(), State.UNKNOWN),
        (_status(None, "NotAskedYet"), Record(was_ready=True), State.UNKNOWN),
        (_status(None, "NotAskedYet"), Record(), State.NOT_READY),
        (PodStatus(), Record(), State.NOT_READY),
    ],
)
def test_what_a_conclusion_means_for_availability(status, record, expected):
    """Ready is the agent's own word; what nobody could see is unknown; a start that was not asked yet is not ready."""
    assert state_of(status, record) is expected
