"""What may happen to a world, drawn at random: histories of steps."""

from __future__ import annotations

from hypothesis import strategies as st

from agentpod_core.values.pods import Wanted
from simulated.hands import HANDS
from simulated.steps import Change, Create, Delete, Foreign, Hand, Lose, Restart, Second, Wait, Want, WantTenant
from simulated.troubles import Crash, Doom, Freeze, Mood, Outage, Registry, SetClock, Standby, Unshown, Unsure
from simulated.world import REFUSED, SLOTS

slots = st.integers(0, len(SLOTS) - 1)
spans = st.sampled_from([0.5, 2.0, 4.0, 15.0, 40.0])
small = st.integers(0, 2)
codes = st.sampled_from([1, 0, 137, REFUSED])

by_operator = st.one_of(
    st.builds(Create, slots),
    st.builds(Change, slots, st.sampled_from(["image", "memory", "live", "restart", "merged"]), small),
    st.builds(Want, slots, st.sampled_from([Wanted.STOPPED, Wanted.RUNNING])),
    st.builds(Restart, slots),
    st.builds(Delete, slots, st.booleans()),
    st.builds(WantTenant, st.sampled_from(["acme", "bolt"]), st.sampled_from(list(Wanted))),
)
by_hand = st.one_of(
    st.builds(Hand, slots, st.sampled_from(sorted(HANDS))),
    st.builds(Second, slots, st.booleans()),
    st.builds(Foreign, slots, st.sampled_from(["name", "address"])),
    st.builds(Lose, slots, st.sampled_from(["network", "subnet", "volumes", "images"])),
)
by_chance = st.one_of(
    st.builds(
        Doom,
        slots,
        st.sampled_from([1, 0, 137, REFUSED]),
        st.sampled_from([0.0, 0.5, 15.0]),
        st.sampled_from([1, 2, 3, 6, 1000]),
    ),
    st.builds(Mood, slots, st.sampled_from(["ready", "ill", "silent", "slow", "broken"])),
    st.builds(Outage, st.sampled_from(["power", "daemon", "engine", "events", "store"]), spans),
    st.builds(Registry, st.booleans(), st.sampled_from([0.5, 15.0, 1000.0])),
    st.builds(Unshown, slots, st.sampled_from(["hangs", "refuses"]), spans),
    st.builds(Unsure, st.integers(1, 4), st.sampled_from(["write", "upkeep"])),
    st.builds(Crash, small, st.integers(0, 30), st.sampled_from([0.1, 5.0])),
    st.builds(Standby),
    st.builds(Freeze, small, spans, st.booleans()),
    st.builds(SetClock, st.sampled_from([-86400, -30, 5, 3600])),
)
waits = st.builds(Wait, st.sampled_from([0.06, 0.3, 1.0, 5.0, 12.0]))
steps = st.one_of(by_operator, by_hand, by_chance, waits, waits)
histories = st.lists(steps, min_size=1, max_size=25)

of_leaders = st.lists(
    st.one_of(
        st.builds(Freeze, st.integers(0, 1), st.sampled_from([0.5, 3.0, 9.0, 12.0, 30.0]), st.booleans()),
        st.builds(Hand, slots, st.sampled_from(["remove", "kill"])),
        st.builds(Unsure, st.integers(1, 4), st.sampled_from(["write", "upkeep"])),
        st.builds(Wait, st.sampled_from([0.3, 1.0, 5.0, 12.0])),
    ),
    min_size=1,
    max_size=12,
)

FROZEN_IN_THE_MIDST = (Hand(0, "remove"), Wait(4.0), Freeze(0, 30.0, is_cut=False), Wait(40.0))
"""A leader stands still between two changes of one pass, for longer than its lease."""
