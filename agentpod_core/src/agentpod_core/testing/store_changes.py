"""What every store must do about telling what changed; part of ``StoreContract``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from agentpod_core.ports import RESYNC, Store, pod_key, tenant_key
from agentpod_core.testing.store_stage import HAPPENING, RECORD, STATUS, StoreStage, led
from agentpod_core.values.pods import Wanted

PATIENCE = 15.0


class StoreChanges:
    """The facts about changes; fixtures are those of ``StoreContract``."""

    async def test_changes_begin_with_a_resync(self, store: Store) -> None:
        """Who begins to follow may have missed anything, and is told so."""
        async with _following(store) as following:
            assert await following() == RESYNC

    async def test_changes_name_what_changed(self, store: Store, stage: StoreStage) -> None:
        """A new or changed pod and a changed tenant are told by their keys."""
        tenant_id = await stage.add_tenant("acme")
        async with _following(store) as following:
            assert await following() == RESYNC

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
        async with _following(store) as following:
            assert await following() == RESYNC

            await store.save(epoch, pod_id, status=STATUS, record=RECORD, happenings=(HAPPENING,))
            second = await stage.add_tenant("globex")

            assert await following() == tenant_key(second)

    async def test_a_pod_that_goes_wakes_its_tenant(self, store: Store, stage: StoreStage) -> None:
        """A tenant that is to be deleted waits for its last pod."""
        tenant_id = await stage.add_tenant("acme")
        pod_id = await stage.add_pod(tenant_id, "main")
        await stage.want_pod(pod_id, Wanted.DELETED)
        epoch = await led(store)
        async with _following(store) as following:
            assert await following() == RESYNC

            await store.forget_pod(epoch, pod_id)

            assert {await following(), await following()} == {pod_key(pod_id), tenant_key(tenant_id)}

    async def test_changes_survive_an_outage(self, store: Store, stage: StoreStage) -> None:
        """Who follows through an outage gets a resync, and then changes again."""
        async with _following(store) as following:
            assert await following() == RESYNC

            async with stage.outage():
                pass

            assert await following() == RESYNC
            tenant_id = await stage.add_tenant("acme")
            assert await following() == tenant_key(tenant_id)


@asynccontextmanager
async def _following(store: Store) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Follow the changes in a task, and give what waits for the next."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    changes = cast("AsyncGenerator[str, None]", store.changes())

    async def follow() -> None:
        async for key in changes:
            queue.put_nowait(key)

    async def following() -> str:
        return await asyncio.wait_for(queue.get(), PATIENCE)

    task = asyncio.create_task(follow())
    try:
        yield following
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await changes.aclose()
