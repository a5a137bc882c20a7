"""What every store must do with samples of what pods use; part of ``StoreContract``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from agentpod_core.ports import Sample, Store
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.store_stage import StoreStage, led
from agentpod_core.values.pods import Wanted

MINUTE = timedelta(minutes=1)


def _sample(pod_id: str, minute: int, **facts: int | None) -> Sample:
    """Give a sample of that many minutes after an hour ago."""
    now = datetime.now(UTC).replace(second=0, microsecond=0) - 60 * MINUTE
    used = Sample(pod_id=pod_id, at=now + minute * MINUTE, cpu=100, memory=2**33, limit=2**34, storage=7, restarts=1)
    return replace(used, **facts)


class StoreSamples(IntactContract):
    """The facts about samples; fixtures are those of ``StoreContract``."""

    async def test_samples_make_the_history_of_their_pod(self, store: Store, stage: StoreStage) -> None:
        """They are read back as they were, by time; a minute without one stays without, and so does a value."""
        tenant_id = await stage.add_tenant("acme")
        one, two = await stage.add_pod(tenant_id, "one"), await stage.add_pod(tenant_id, "two")
        bare = _sample(one, 4, limit=None, storage=None, restarts=0)
        rounds = [[_sample(one, 1), _sample(two, 1, cpu=0)], [bare], [_sample(one, 2)], []]

        for samples in rounds:
            await store.sampled(samples)

        assert await stage.history(one) == [_sample(one, 1), _sample(one, 2), bare]
        assert await stage.history(two) == [_sample(two, 1, cpu=0)]

    async def test_a_minute_has_one_sample(self, store: Store, stage: StoreStage) -> None:
        """A second sample of a minute takes the place of the first, whenever in it; starts again are added up."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        again = _sample(pod_id, 1, cpu=5, storage=None)

        await store.sampled([_sample(pod_id, 1)])
        await store.sampled([replace(again, at=again.at + timedelta(seconds=59))])

        assert await stage.history(pod_id) == [replace(again, restarts=2)]

    async def test_samples_of_pods_that_are_gone_are_left_out(self, store: Store, stage: StoreStage) -> None:
        """Those of the others count; and whoever goes takes its history along."""
        tenant_id = await stage.add_tenant("acme")
        gone, other = await stage.add_pod(tenant_id, "gone"), await stage.add_pod(tenant_id, "other")
        await store.sampled([_sample(gone, 1)])
        await stage.want_pod(gone, Wanted.DELETED)
        await store.forget_pod(await led(store), gone)

        await store.sampled([_sample(gone, 2), _sample(other, 2)])

        assert (await stage.history(gone), await stage.history(other)) == ([], [_sample(other, 2)])
