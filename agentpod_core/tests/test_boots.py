"""Starts are rationed in the order in which they were asked for, and no slot is given away twice."""

from __future__ import annotations

import pytest

from agentpod_core.reconcile.boots import Boots

HEAVY, LIGHT = 10.0, 2.0


@pytest.fixture
def freed() -> list[str]:
    """Give what is told whose turn it is."""
    return []


@pytest.fixture
def boots(freed: list[str]) -> Boots:
    """Give one slot, which is taken, and four who wait for it."""
    made = Boots(1, freed.append)
    made.take("a", HEAVY)
    for pod_id in "bcde":
        made.wait(pod_id, HEAVY)
    return made


def test_one_slot_is_handed_on_once(boots: Boots, freed: list[str]) -> None:
    """Passes of pods that hold nothing free nothing, however many come before the next one has taken its slot."""
    boots.release("a")
    boots.release("x")
    boots.release("y")
    assert freed == ["b"]


def test_a_slot_is_kept_for_who_is_next(boots: Boots) -> None:
    """Nobody else takes the slot that came free for the one who waited longest."""
    boots.release("a")
    assert (boots.take("z", HEAVY), boots.take("c", HEAVY), boots.take("b", HEAVY)) == (False, False, True)


def test_a_newcomer_waits_behind_those_in_line(boots: Boots) -> None:
    """A lighter start overtakes nobody, or a heavy one might wait for ever."""
    light = Boots(1, lambda _: None)
    light.take("a", LIGHT)
    light.wait("b", HEAVY)
    assert (light.take("c", LIGHT), boots.take("c", LIGHT)) == (False, False)


def test_who_leaves_the_line_lets_the_next_one_up() -> None:
    """Where the first in line no longer wants to start, whoever fits after it is told."""
    freed: list[str] = []
    boots = Boots(1, freed.append)
    boots.take("a", LIGHT)
    boots.wait("b", HEAVY)
    boots.wait("c", LIGHT)
    boots.release("b")
    assert freed == ["c"]


def test_who_cannot_come_hands_its_turn_on(boots: Boots, freed: list[str]) -> None:
    """A pod that cannot be looked at does not keep the slot that came free for it; what it has taken it keeps."""
    boots.release("a")
    boots.forgo("b")
    boots.take("c", HEAVY)
    boots.forgo("c")
    assert (freed, boots.has_slot("c", HEAVY), boots.has_slot("d", HEAVY)) == (["b", "c"], True, False)


def test_who_asks_just_after_a_slot_came_free_is_told_at_once() -> None:
    """Between the look that showed no slot and the wait for one the last start may have ended."""
    freed: list[str] = []
    boots = Boots(1, freed.append)
    boots.take("a", HEAVY)
    assert not boots.has_slot("b", HEAVY)
    boots.release("a")
    boots.wait("b", HEAVY)
    assert (freed, boots.take("b", HEAVY)) == (["b"], True)
