"""What every store must do about telling what changed; part of ``StoreContract``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar, cast

from agentpod_core.ports import RESYNC, Store, pod_key, tenant_key
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.store_stage import HAPPENING, RECORD, STATUS, StoreStage, led
from agentpod_core.values.pods import Wanted


class StoreChanges(IntactContract):
    """The facts about changes; fixtures are those of ``StoreContract``."""

    patience: ClassVar[float] = 15.0

    async def test_changes_begin_with_a_resync(self, store: Store) -> None:
        """Who begins to follow may have missed anything, and is told so."""
        async with self._following(store) as (first, _):
            assert first == RESYNC

    async def test_changes_name_what_changed(self, store: Store, stage: StoreStage) -> None:
        """A new or changed pod and a changed tenant are told by their keys."""
        tenant_id = await stage.add_tenant("acme")
        async with self._following(store) as (_, following):
            pod_id = await stage.add_pod(tenant_id, "main")
            assert {await following(), await following()} == {pod_key(pod_id), tenant_key(tenant_id)}
            await stage.change_pod(pod_id, config={"a": 1})
            assert await following() == pod_key(pod_id)
            await stage.want_tenant(tenant_id, Wanted.STOPPED)
            assert {await following(), await following()} == {pod_key(pod_id), tenant_key(tenant_id)}

    async def test_a_save_wakes_nobody(self, store: Store, stage: StoreStage) -> None:
        """The engine's own writes are no changes: they would wake it for ever."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        epoch = await led(store)
        async with self._following(store) as (_, following):
            await store.save(epoch, pod_id, status=STATUS, record=RECORD, happenings=(HAPPENING,))
            second = await stage.add_tenant("globex")

            assert await following() == tenant_key(second)

    async def test_a_pod_that_goes_wakes_its_tenant(self, store: Store, stage: StoreStage) -> None:
        """A tenant that is to be deleted waits for its last pod."""
        tenant_id = await stage.add_tenant("acme")
        pod_id = await stage.add_pod(tenant_id, "main")
        await stage.want_pod(pod_id, Wanted.DELETED)
        epoch = await led(store)
        async with self._following(store) as (_, following):
            await store.forget_pod(epoch, pod_id)

            assert {await following(), await following()} == {pod_key(pod_id), tenant_key(tenant_id)}

    async def test_changes_survive_an_outage(self, store: Store, stage: StoreStage) -> None:
        """Who follows through an outage gets a resync, and then changes again."""
        async with self._following(store) as (_, following):
            async with stage.outage():
                pass

            assert await following() == RESYNC
            tenant_id = await stage.add_tenant("acme")
            assert await following() == tenant_key(tenant_id)

    @asynccontextmanager
    async def _following(self, store: Store) -> AsyncIterator[tuple[str, Callable[[], Awaitable[str]]]]:
        """Follow the changes in a task; give the first, and what waits for the next."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        changes = cast("AsyncGenerator[str, None]", store.changes())

        async def follow() -> None:
            async for key in changes:
                queue.put_nowait(key)

        async def following() -> str:
            return await asyncio.wait_for(queue.get(), self.patience)

        task = asyncio.create_task(follow())
        try:
            yield await following(), following
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await changes.aclose()
