"""What every store must do about leadership; part of ``StoreContract``."""

from __future__ import annotations

import asyncio

import pytest

from agentpod_core.errors import ConflictError
from agentpod_core.ports import Store
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.store_stage import StoreStage
from agentpod_core.values.status import PodStatus, Record

_UNKNOWN = "00000000-0000-7000-8000-00000000dead"


class StoreLeases(IntactContract):
    """The facts about leading; fixtures are those of ``StoreContract``."""

    async def test_one_leads_at_a_time(self, store: Store) -> None:
        """Whoever is first leads, and may renew in the same epoch; others wait."""
        epoch = await store.lead("one", 60)

        assert epoch is not None
        assert await store.lead("two", 60) is None
        assert await store.lead("one", 60) == epoch

    async def test_of_many_at_once_one_leads(self, store: Store) -> None:
        """A race for the lease has one winner."""
        epochs = await asyncio.gather(*(store.lead(f"holder-{number}", 60) for number in range(8)))

        assert len([epoch for epoch in epochs if epoch is not None]) == 1

    async def test_a_lease_that_ran_out_is_taken_over(self, store: Store, stage: StoreStage) -> None:
        """After its time somebody else leads, in a higher epoch, and the first one is told."""
        first = await store.lead("one", 0.2)
        await stage.pass_time(0.4)

        second = await store.lead("two", 60)

        assert first is not None
        assert second is not None
        assert second > first
        assert await store.lead("one", 60) is None

    async def test_a_renewal_prolongs(self, store: Store, stage: StoreStage) -> None:
        """A renewed lease runs from the renewal."""
        await store.lead("one", 0.2)
        await store.lead("one", 60)
        await stage.pass_time(0.4)

        assert await store.lead("two", 60) is None

    async def test_stepping_down_frees_the_lease_at_once(self, store: Store) -> None:
        """The next one need not wait, and leads in a higher epoch."""
        first = await store.lead("one", 60)
        await store.step_down("one")

        second = await store.lead("two", 60)

        assert first is not None
        assert second is not None
        assert second > first

    async def test_only_the_holder_steps_down(self, store: Store) -> None:
        """Somebody who does not lead gives nothing up, and the leader's epoch goes on."""
        epoch = await store.lead("one", 60)
        await store.step_down("two")

        assert epoch is not None
        assert await store.lead("two", 60) is None
        await store.save(epoch, _UNKNOWN, status=PodStatus(), record=Record())

    async def test_who_stepped_down_writes_no_more(self, store: Store) -> None:
        """An epoch ends with its holder's leave, before anybody else comes."""
        epoch = await store.lead("one", 60)
        await store.step_down("one")

        assert epoch is not None
        with pytest.raises(ConflictError) as raised:
            await store.save(epoch, _UNKNOWN, status=PodStatus(), record=Record())
        assert raised.value.reason == "NotLeader"

    async def test_an_epoch_of_the_future_writes_nothing(self, store: Store) -> None:
        """A number that no leader was given is refused."""
        epoch = await store.lead("one", 60)

        assert epoch is not None
        with pytest.raises(ConflictError):
            await store.save(epoch + 1, _UNKNOWN, status=PodStatus(), record=Record())
