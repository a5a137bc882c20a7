from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core.values.status import Phase, PodStatus, Record
from agentpod_server.dashboard import live
from agentpod_server.dashboard.live import News
from agentpod_server.store.engine import PostgresStore

pytestmark = pytest.mark.asyncio(loop_scope="session")

SSE = {"Accept": "text/event-stream"}


async def conclude(rig, pod_id: str, phase: Phase) -> None:
    """Let the engine have written another status, without an event."""
    store = PostgresStore(rig.database, listener=rig.listener, hosts=lambda _: (), secret_stores={})
    epoch = await store.lead("test", 10)
    await store.save(epoch, pod_id, status=PodStatus(phase=phase), record=Record())
    await store.step_down("test")


class Told:
    """The names that a stream tells."""

    def __init__(self, response) -> None:
        self._lines = response.aiter_lines()
        self.number = 0

    async def until(self, wanted: set[str]) -> None:
        """Read until all of these were told."""
        async with asyncio.timeout(10):
            while wanted:
                line = await anext(self._lines)
                if line.startswith("id: "):
                    self.number = int(line[4:])
                wanted = wanted - {line.removeprefix("event: ")}


@contextlib.asynccontextmanager
async def told(client, **query):
    """Open the stream of a page."""
    async with client.stream("GET", "/dashboard/live", params=query, headers=SSE) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Told(response)


async def test_the_stream_tells_what_to_look_at_again(browser, rig, api):
    """A new pod changes the list, a happening its pod and the events, a status its row; each within moments."""
    async with told(browser.client) as stream:
        pod_id = (await rig.pod(api)).json()["id"]
        await stream.until({"list", "events", "pod:acme/main"})
        await conclude(rig, pod_id, Phase.RUNNING)
        await stream.until({f"pod-{pod_id}"})
        await api.post("/api/v1/tenants/acme/pods/main/stop")
        await stream.until({"pod:acme/main", "events"})


async def test_a_page_misses_nothing_between_its_making_and_its_stream(browser, rig, api):
    """What happened after the page's event and moment is told when the stream begins, and after it broke."""
    since = datetime.now(UTC)
    pod_id = (await rig.pod(api)).json()["id"]
    await conclude(rig, pod_id, Phase.RUNNING)
    async with told(browser.client, after=0, since=since.isoformat()) as stream:
        await stream.until({"list", "events", f"pod-{pod_id}"})
        number = stream.number
    await api.post("/api/v1/tenants/acme/pods/main/restart")
    async with browser.client.stream("GET", "/dashboard/live", headers=SSE | {"Last-Event-ID": str(number)}) as again:
        await Told(again).until({"pod:acme/main"})


async def test_a_place_that_no_stream_gave_is_none(browser):
    """A stream that would go on from what is no event's number begins anew."""
    headers = SSE | {"Last-Event-ID": "9" * 5000}
    async with browser.client.stream("GET", "/dashboard/live", headers=headers) as stream:
        assert stream.status_code == 200


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_moment_at_the_end_of_the_calendar_is_a_moment(browser, api, since):
    """A page of any moment is told what happens, though there is none before or after that moment."""
    async with told(browser.client, since=since) as stream:
        await api.post("/api/v1/tenants", json={"slug": "acme"})
        await stream.until({"events"})


async def test_a_number_that_no_event_has_is_refused(browser):
    """A stream from a number that the database cannot hold does not begin."""
    assert (await browser.get(f"/dashboard/live?after={2**63}")).status_code == 400


async def test_a_stream_ends_when_the_server_wants_to_exit(browser, rig):
    """No open page keeps the server from stopping."""
    async with told(browser.client) as stream:
        rig.stopping = True
        try:
            with pytest.raises(StopAsyncIteration):
                await stream.until({"never"})
        finally:
            rig.stopping = False


async def test_a_stream_ends_after_its_time(browser, monkeypatch):
    """A page has to be recognised again now and then."""
    monkeypatch.setattr(live, "LONGEST", 0.1)
    async with told(browser.client) as stream:
        with pytest.raises(StopAsyncIteration):
            await stream.until({"never"})


async def test_a_tenants_page_is_not_told_of_others(rig, api):
    """Ids and names of other tenants' pods do not reach a user of one tenant."""
    mine = (await rig.pod(api)).json()["id"]
    other = (await rig.pod(api, tenant="globex")).json()["id"]
    pod = await rig.record(mine)
    scope = (await rig.services.identity.by_token(rig.token)).scope("r")
    scope = type(scope)(tenant_id=pod.tenant_id, actor="user:ann")
    since = datetime.now(UTC) - timedelta(hours=1)
    source = live.stream(
        rig.services, lambda: rig.listener.follow("status"), scope, after=0, since=since, is_over=lambda: False
    )
    seen = ""
    async with contextlib.aclosing(source) as stream, asyncio.timeout(10):
        async for chunk in stream:
            seen += chunk.decode()
            if "retry" in seen and f"pod-{mine}" in seen and "acme/main" in seen:
                break
        await conclude(rig, other, Phase.RUNNING)
        await conclude(rig, mine, Phase.STOPPED)
        async for chunk in stream:
            seen += chunk.decode()
            if f"pod-{mine}" in chunk.decode():
                break
    assert other not in seen
    assert "globex" not in seen


async def test_names_are_told_once_and_together():
    """What comes at about the same time is one message, a name in it once; the newest number stands with it."""
    news = News()
    assert await news.next(0.01) == ([], 0)
    news.add("a", "b", seq=4)
    news.add("a", seq=3)
    assert await news.next(1) == (["a", "b"], 4)
    assert await news.next(0.01) == ([], 4)
