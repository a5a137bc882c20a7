"""However two servers are frozen or cut off from the store, only the one that holds the lease touches the world.

That is looked at in every history of the kit. Here it is all that happens, and every change takes its time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated.chance import FROZEN_IN_THE_MIDST, of_leaders
from simulated.history import live


@settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(slowness=st.sampled_from([0.0, 0.4, 3.0, 11.0]), steps=of_leaders)
def test_only_who_holds_the_lease_touches_the_world(slowness, steps) -> None:
    """No change begins or goes on after the lease ran out, no epoch has two writers, and all ends well."""
    live(steps, standby=True, slowness=slowness)


def test_a_leader_frozen_in_the_midst_of_a_change_leaves_it() -> None:
    """Another finishes the work, and who wakes up does nothing more of it."""
    world = live(FROZEN_IN_THE_MIDST, standby=True, slowness=3.0)

    assert list(world.ledger.writers.values()) == [{"server-1"}, {"server-2"}]
