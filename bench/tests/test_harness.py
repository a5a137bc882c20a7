"""The bench's own machinery: statistics, goals, turns, table, JSON, and what becomes of a case that fails."""

from __future__ import annotations

import json

import pytest

from cases import CASES
from harness import (
    Case,
    Turns,
    absent,
    at_least,
    at_most,
    exit_code,
    failed,
    figure,
    interleaved,
    more_by_at_most,
    ratio,
    run,
    table,
    times_at_most,
    within,
    write,
)

KEYS = ["case", "ours", "reference", "unit", "ratio", "goal", "ok"]


def turns(ours, reference):
    return Turns(ours=ours, reference=reference)


def test_a_ratio_is_one_of_medians():
    """One slow turn changes no ratio."""
    row = ratio("x", turns([2.0, 2.0, 90.0], [1.0, 1.0, 1.0]), times_at_most(2))
    assert (row.ours, row.reference, row.ratio, row.count) == (2.0, 1.0, 2.0, 3)


def test_the_spread_is_the_quartiles_of_each_side():
    """Half of the turns lie within the spread."""
    row = ratio("x", turns([1.0, 2.0, 3.0, 4.0, 5.0], [10.0] * 5), times_at_most(2))
    assert row.spread == {"ours": [2.0, 4.0], "reference": [10.0, 10.0]}


@pytest.mark.parametrize(
    ("goal", "ours", "reference", "is_kept"),
    [
        (times_at_most(1.15), 1.15, 1.0, True),
        (times_at_most(1.15), 1.16, 1.0, False),
        (more_by_at_most(1), 21.0, 20.0, True),
        (more_by_at_most(1), 21.1, 20.0, False),
        (more_by_at_most(1), 15.0, 20.0, True),
        (times_at_most(1.5, more=0.1), 1.6, 1.0, True),
        (times_at_most(1.5, more=0.1), 1.61, 1.0, False),
        (within(0.2), 1.2, 1.0, True),
        (within(0.2), 1.21, 1.0, False),
        (within(0.2), 0.8, 1.0, True),
        (within(0.2), 0.79, 1.0, False),
    ],
)
def test_a_goal_beside_a_reference(goal, ours, reference, is_kept):
    """A goal is kept up to its very limit."""
    assert ratio("x", turns([ours], [reference]), goal).ok is is_kept


@pytest.mark.parametrize(("value", "is_kept"), [(250.0, True), (250.1, False)])
def test_an_absolute_goal(value, is_kept):
    """An absolute figure has a goal and no reference."""
    row = figure("x", [value], "MB", goal=at_most(250, "MB"))
    assert (row.ok, row.reference, row.ratio, row.goal) == (is_kept, None, None, "≤ 250 MB")


@pytest.mark.parametrize(("value", "is_kept"), [(100, True), (99, False)])
def test_a_goal_of_at_least_so_much(value, is_kept):
    """Some figures are the better the larger they are."""
    row = figure("x", [value], "pods", goal=at_least(100, "pods"))
    assert (row.ok, row.goal) == (is_kept, "≥ 100 pods")


def test_what_could_not_be_had_is_said_and_is_nobodys_miss():
    """A reference that cannot be installed on this machine leaves a line that says why."""
    row = absent("beside", "no network")
    assert (row.ours, row.ok, exit_code([row]), row.note) == (None, True, 0, "no network")


def test_a_goal_is_judged_on_the_whole_figure():
    """What is rounded for reading is not rounded for the verdict."""
    row = ratio("x", turns([1.150049], [1.0]), times_at_most(1.15))
    assert (row.ratio, row.ok) == (1.15, False)


def test_a_figure_without_a_goal_is_ok():
    """What is printed for reading misses nothing."""
    row = figure("x", [3], "pods")
    assert (row.goal, row.ok) == (None, True)


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        (times_at_most(1.15), "≤ 1.15×"),
        (times_at_most(1.15, more=0.1), "≤ 1.15× + 0.1 s"),
        (more_by_at_most(1), "≤ 1.0× + 1 s"),
        (within(0.2), "1.0× ± 20%"),
        (at_most(250, "MB"), "≤ 250 MB"),
    ],
)
def test_a_goal_says_what_it_is(goal, text):
    """The goal stands in the row in words."""
    assert goal.text == text


def test_the_two_sides_take_turns_and_neither_is_always_first():
    """Who goes first changes with every pair, and the first pair warms up only."""
    order: list[str] = []

    def side(name: str):
        def turn() -> float:
            order.append(name)
            return float(len(order))

        return turn

    taken = interleaved(side("a"), side("b"), count=2, rest=0.0)
    assert ("".join(order), taken) == ("baabba", Turns(ours=[3.0, 6.0], reference=[4.0, 5.0]))


def test_a_row_in_json_has_the_keys_that_readers_rely_on(tmp_path):
    """Rows are a list in ``latest.json``; an absolute goal has ``reference: null``."""
    write(tmp_path, [figure("x", [3.0], "MB", goal=at_most(4, "MB"))], {"cores": "2"})
    (row,) = json.loads((tmp_path / "latest.json").read_text())
    assert {key: row[key] for key in KEYS} == {
        "case": "x",
        "ours": 3.0,
        "reference": None,
        "unit": "MB",
        "ratio": None,
        "goal": "≤ 4 MB",
        "ok": True,
    }


def test_the_machine_is_written_beside_the_rows(tmp_path):
    """Figures can be compared only by who knows where they were measured."""
    write(tmp_path / "results", [], {"cores": "2"})
    assert json.loads((tmp_path / "results" / "machine.json").read_text()) == {"cores": "2"}


def test_the_table_says_of_each_row_how_it_went():
    """Kept, missed, for reading only, and failed can be told apart."""
    rows = [
        ratio("kept", turns([1.0, 1.2], [1.0, 1.0]), times_at_most(1.15)),
        ratio("missed", turns([2.0], [1.0]), times_at_most(1.15), note="why"),
        figure("read", [7], "pods"),
        failed("broken", "OSError: no\nmore of it"),
        absent("beside", "no network"),
    ]
    lines = [" ".join(line.split()) for line in table(rows).splitlines()]
    assert lines[2:] == [
        "kept 1.1 s (1.05-1.15) 1 s 1.10× ≤ 1.15× ok",
        "missed 2 s 1 s 2.00× ≤ 1.15× MISSED why",
        "read 7 pods – – –",
        "broken – – – – FAILED OSError: no",
        "beside – – – – no network",
    ]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (ratio("kept", turns([1.0], [1.0]), times_at_most(1)), 0),
        (figure("read", [7], "pods"), 0),
        (ratio("missed", turns([2.0], [1.0]), times_at_most(1)), 1),
        (failed("broken", "no"), 1),
    ],
)
def test_a_missed_goal_and_a_failed_case_end_the_bench_with_1(row, code):
    """A script learns how it went from the exit code."""
    assert exit_code([figure("x", [1], "s"), row]) == code


def test_a_case_that_fails_loses_no_other_row(capsys):
    """The failed one becomes a row that is not ok and says why; the others are measured all the same."""

    def broken(stage):
        raise OSError("no engine")

    cases = [
        Case(name="a", title="first", run=lambda stage: [figure("first", [1], "s")]),
        Case(name="b", title="second", run=broken),
        Case(name="c", title="third", run=lambda stage: [figure("third", [3], "s")]),
    ]
    rows = list(run(cases, None, failing=lambda case: None))
    assert [(row.case, row.ours, row.ok, row.note) for row in rows] == [
        ("first", 1.0, True, ""),
        ("second", None, False, "OSError: no engine"),
        ("third", 3.0, True, ""),
    ]


def test_who_runs_the_cases_hears_of_the_failed_one(capsys):
    """What a failed case left behind can be cleared away before the next one begins."""
    told: list[str] = []

    def broken(stage):
        raise RuntimeError("no")

    list(run([Case(name="b", title="second", run=broken)], None, failing=lambda case: told.append(case.name)))
    assert told == ["b"]


def test_an_interrupt_ends_the_run():
    """Ctrl-C is no failure of a case."""

    def interrupted(stage):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run([Case(name="a", title="x", run=interrupted)], None, failing=lambda case: None))


def test_every_case_has_a_name_of_its_own():
    """A case is chosen by its name."""
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_idle_memory_is_measured_first():
    """Nothing was asked of the platform before."""
    assert CASES[0].name == "memory"
