from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from agentpod_core import ConflictError, PermanentError
from agentpod_server.records import OperationStatus, Scope
from agentpod_server.services import OperationRunner
from agentpod_server.store import operations, tenants
from agentpod_server.testing import IMAGE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ended(api, location: str) -> dict:
    """Wait until an operation is over."""

    async def is_over() -> bool:
        return (await api.get(location)).json()["status"] in {"succeeded", "failed"}

    await eventually(is_over)
    return (await api.get(location)).json()


async def reaches(rig, operation_id: str, status: OperationStatus) -> None:
    """Wait until an operation has that status."""

    async def is_there() -> bool:
        return (await rig.services.operations.get(Scope(), operation_id)).status is status

    await eventually(is_there)


async def test_an_image_is_built_as_an_operation(api, rig):
    """Asking for an image answers 202 with the operation, which ends, and the image is there."""
    rig.engine.fake.engine.images.clear()
    answer = await api.post("/api/v1/images", json={"adapter": "talker"})
    assert answer.status_code == 202, answer.text
    done = await ended(api, answer.headers["location"])
    assert (done["status"], done["kind"], done["target"], done["error"]) == ("succeeded", "image-build", IMAGE, None)
    assert done["created_by"] == "token:admin"
    images = (await api.get("/api/v1/images")).json()["items"]
    assert {"name": IMAGE, "adapters": ["talker"]} in images
    assert "resync" in rig.engine.nudged
    events = (await api.get("/api/v1/events")).json()["items"]
    assert events[-1]["reason"] == "OperationSucceeded"


async def test_an_image_that_is_being_built_is_not_built_twice(api, rig):
    """A second request answers the operation that is on its way."""
    rig.engine.leads = None
    first = await api.post("/api/v1/images", json={"adapter": "talker"})
    again = await api.post("/api/v1/images", json={"adapter": "talker"})
    assert again.json()["id"] == first.json()["id"]
    assert first.json()["status"] == "pending"
    assert [one["id"] for one in (await api.get("/api/v1/operations?status=pending")).json()["items"]] == [
        first.json()["id"]
    ]


async def test_an_image_of_an_unknown_adapter_is_not_found(api):
    """Building for an adapter that nobody offers answers 404."""
    answer = await api.post("/api/v1/images", json={"adapter": "nothing"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "UnknownAdapter")


async def test_a_build_that_fails_says_why(api, rig, monkeypatch):
    """The reason of a failed operation is told with text and repair, and an event."""

    async def refused(*_):
        raise PermanentError("EngineRefused", problem="no space left")

    monkeypatch.setattr(rig.engine.fake, "build", refused)
    answer = await api.post("/api/v1/images", json={"adapter": "talker"})
    done = await ended(api, answer.headers["location"])
    assert (done["status"], done["error"]["reason"]) == ("failed", "EngineRefused")
    assert done["error"]["message"]
    assert (await api.get("/api/v1/events")).json()["items"][-1]["severity"] == "error"


async def test_progress_is_told_while_the_work_goes_on(api, rig, monkeypatch):
    """The last line that the engine said can be read before the work is done."""
    go_on = asyncio.Event()

    async def slow(recipe, progress):
        progress("step 1 of 2")
        await go_on.wait()

    monkeypatch.setattr(rig.engine.fake, "build", slow)
    answer = await api.post("/api/v1/images", json={"adapter": "talker"})

    async def is_told() -> bool:
        return (await api.get(answer.headers["location"])).json()["progress"]["line"] == "step 1 of 2"

    await eventually(is_told)
    go_on.set()
    assert (await ended(api, answer.headers["location"]))["status"] == "succeeded"


async def test_an_operation_is_taken_up_by_the_next_leader(rig):
    """What was running when a leader went is done again by the next one, once."""
    rig.engine.leads = None
    async with rig.database.transaction(Scope(actor="test")):
        made = await operations.create("say", "hello")
        await operations.claim(1)
    done: list[str] = []

    async def say(operation, report):
        report("saying it", 50.0)
        done.append(operation.target)
        return {"said": True}

    class Leader:
        epoch = 2

    runner = OperationRunner(rig.database, Leader(), {"say": say})
    running = asyncio.create_task(runner.run())
    await reaches(rig, made.id, OperationStatus.SUCCEEDED)
    running.cancel()
    assert done == ["hello"]
    assert (await rig.services.operations.get(Scope(), made.id)).result == {"said": True}


async def test_an_operation_whose_kind_nobody_knows_fails_and_others_go_on(rig):
    """An unknown kind ends as failed with its reason; so does work that breaks."""
    rig.engine.leads = None
    async with rig.database.transaction(Scope(actor="test")):
        unknown = await operations.create("dance", "x")
        broken = await operations.create("break", "x")

    async def breaks(operation, report):
        raise ZeroDivisionError

    class Leader:
        epoch = 3

    running = asyncio.create_task(OperationRunner(rig.database, Leader(), {"break": breaks}).run())
    await reaches(rig, broken.id, OperationStatus.FAILED)
    running.cancel()
    found = [(await rig.services.operations.get(Scope(), one.id)).error.reason for one in (unknown, broken)]
    assert found == ["UnknownOperation", "OperationBroke"]


async def test_a_leader_that_lost_the_lead_leaves_its_work_to_the_next(rig):
    """When the epoch is gone the work is cancelled and stays running, for the next leader to take."""
    rig.engine.leads = None
    async with rig.database.transaction(Scope(actor="test")):
        made = await operations.create("wait", "x")
    cancelled = asyncio.Event()

    async def waits(operation, report):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    class Leader:
        epoch: int | None = 4

    leader = Leader()
    running = asyncio.create_task(OperationRunner(rig.database, leader, {"wait": waits}).run())
    await reaches(rig, made.id, OperationStatus.RUNNING)
    leader.epoch = None
    await asyncio.wait_for(cancelled.wait(), 10)
    running.cancel()
    assert (await rig.services.operations.get(Scope(), made.id)).status is OperationStatus.RUNNING


class Leader:
    """An engine that leads, in that epoch."""

    epoch = 5


@asynccontextmanager
async def doing(rig, database=None, **executors):
    """Do operations by these executors while the block runs."""
    rig.engine.leads = None
    running = asyncio.create_task(OperationRunner(database or rig.database, Leader(), executors).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})


async def asked(rig, kind: str, target: str = "x", **what) -> str:
    """Ask for an operation; gives its id."""
    async with rig.database.transaction(Scope(actor="test")):
        return (await operations.create(kind, target, **what)).id


async def test_an_operation_that_goes_with_its_tenant_ends_nobodys_work(rig):
    """A tenant that is deleted while something is done for it takes the operation with it; the next one is done."""
    async with rig.database.transaction(Scope(actor="test")):
        tenant = await tenants.create(slug="acme", address_range="10.214.0.0/16")
    gone = await asked(rig, "say", "acme", tenant_id=tenant.id, tenant="acme")

    async def say(operation, report):
        if operation.id == gone:
            async with rig.database.transaction(Scope(actor="test")) as transaction:
                await transaction.execute("delete from tenants where id = $1", tenant.id)
        return {}

    async with doing(rig, say=say):
        await reaches(rig, await asked(rig, "say"), OperationStatus.SUCCEEDED)


async def test_work_whose_operation_is_gone_is_broken_off(rig):
    """As soon as its progress has no place to be written, nobody is there for whom it would be done."""
    made = await asked(rig, "say")
    cancelled = asyncio.Event()

    async def say(operation, report):
        async with rig.database.transaction(Scope(actor="test")) as transaction:
            await transaction.execute("delete from operations where id = $1", made)
        report("saying it")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with doing(rig, say=say):
        await asyncio.wait_for(cancelled.wait(), 10)


class Moody:
    """A database that refuses to begin the transactions with those numbers."""

    def __init__(self, database, *refused: int) -> None:
        self._database = database
        self._refused = refused
        self.asked = 0

    @asynccontextmanager
    async def transaction(self, scope):
        self.asked += 1
        if self.asked in self._refused:
            raise PermanentError("DatabaseRefused", where="db", problem="no")
        async with self._database.transaction(scope) as transaction:
            yield transaction


@pytest.mark.parametrize("refused", [(1, 2), (3, 4)], ids=["before it begins", "as it ends"])
async def test_a_database_that_refuses_for_a_moment_ends_nobodys_work(rig, refused):
    """Each operation is done and ends, whatever the database said in between."""
    made = await asked(rig, "say")

    async def say(operation, report):
        return {}

    async with doing(rig, Moody(rig.database, *refused), say=say):
        await reaches(rig, made, OperationStatus.SUCCEEDED)


async def test_work_that_was_cut_off_is_done_again_by_the_same_leader(rig):
    """A leader that believed for a moment that it was none takes up what it dropped."""
    made = await asked(rig, "say")
    tries: list[str] = []

    async def say(operation, report):
        tries.append(operation.id)
        if len(tries) == 1:
            raise ConflictError("NotLeader")
        return {}

    async with doing(rig, say=say):
        await reaches(rig, made, OperationStatus.SUCCEEDED)
    assert tries == [made, made]


async def test_an_outcome_that_cannot_be_stored_ends_as_broken(rig):
    """A result with a NUL in it is no result; the operation ends, and the next one is done."""
    made = await asked(rig, "say")

    async def say(operation, report):
        return {"said": "\x00"} if operation.id == made else {}

    async with doing(rig, say=say):
        await reaches(rig, made, OperationStatus.FAILED)
        await reaches(rig, await asked(rig, "say"), OperationStatus.SUCCEEDED)
    assert (await rig.services.operations.get(Scope(), made)).error.reason == "OperationBroke"


async def test_operations_are_listed_newest_first_and_by_kind(api, rig):
    """The listing goes on by cursor and filters by kind."""
    rig.engine.leads = None
    async with rig.database.transaction(Scope(actor="test")):
        for target in ("a", "b", "c"):
            await operations.create("dance", target)
    first = (await api.get("/api/v1/operations", params={"kind": "dance", "limit": 2})).json()
    assert [one["target"] for one in first["items"]] == ["c", "b"]
    rest = (await api.get("/api/v1/operations", params={"kind": "dance", "cursor": first["next"]})).json()
    assert [one["target"] for one in rest["items"]] == ["a"]
    assert (await api.get("/api/v1/operations", params={"status": "happy"})).status_code == 400


async def test_an_unknown_operation_is_not_found(api):
    """An id that is none, or of nothing, answers 404."""
    for operation in ("nothing", "01890000-0000-7000-8000-000000000000"):
        answer = await api.get(f"/api/v1/operations/{operation}")
        assert (answer.status_code, answer.json()["reason"]) == (404, "OperationNotFound")


async def test_adapters_are_described(api):
    """An adapter is listed with its sizes, its plugin and its image, and unknown ones are not found."""
    items = (await api.get("/api/v1/adapters")).json()["items"]
    assert [one["id"] for one in items] == ["talker"]
    assert items[0] == (await api.get("/api/v1/adapters/talker")).json()
    assert [one["name"] for one in items[0]["sizes"]] == ["default", "large"]
    assert (items[0]["image"], items[0]["buildable"]) == (IMAGE, True)
    assert items[0]["plugin"]
    assert (await api.get("/api/v1/adapters/nothing")).json()["reason"] == "UnknownAdapter"


async def test_an_adapters_schema_marks_its_secrets(api):
    """The schema is JSON Schema 2020-12 with titles and marks for secrets."""
    answer = await api.get("/api/v1/adapters/talker/schema")
    assert answer.headers["content-type"].startswith("application/schema+json")
    schema = answer.json()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["properties"]["api_key"]["x-agentpod-secret"] is True
    assert schema["properties"]["repeat"]["maximum"] == 9
    assert schema["additionalProperties"] is False


async def test_plugins_are_listed_with_what_they_offer(api):
    """Every plugin is listed with its offers by kind, and whether it was loaded."""
    items = (await api.get("/api/v1/plugins")).json()["items"]
    assert items[0]["offers"] == {"agent": ["talker"], "notifier": ["fake"], "probe": ["always"]}
    assert (items[0]["state"], items[0]["loaded"], items[0]["error"]) == ("ok", True, None)
    assert items[0]["distribution"] == "agentpod-server"


async def test_trouble_of_a_plugin_in_use_is_listed(api, rig):
    """What broke when it was called is there with its call, how often and when, until the call works again."""
    # The server of the whole session may have seen such a failure before.
    (plugin,) = (await api.get("/api/v1/plugins")).json()["items"]
    before = sum(one["count"] for one in plugin["troubles"] if one["call"] == "workload")
    for _ in range(2):
        await rig.pod(api, config={"greeting": "break"})
    (plugin,) = (await api.get("/api/v1/plugins")).json()["items"]
    (trouble,) = plugin["troubles"]
    assert (plugin["state"], trouble["reason"], trouble["offer"]) == ("partly", "PluginFailed", "agent:talker")
    assert (trouble["call"], trouble["count"], trouble["over"]) == ("workload", before + 2, False)
    assert plugin["error"].startswith("The plugin agentpod-server (agentpod-server ")
    assert (await rig.pod(api)).status_code == 201
    (plugin,) = (await api.get("/api/v1/plugins")).json()["items"]
    assert (plugin["state"], plugin["error"], plugin["troubles"][0]["over"]) == ("ok", None, True)


async def test_plugin_that_pods_miss_is_listed(api, rig, monkeypatch):
    """What pods were made with and nobody offers any more is a line of the list, with where it came from."""
    await rig.pod(api)
    kept = rig.host.owners()
    rig.host.remember(kept)
    monkeypatch.setattr(rig.host, "_offers", {})
    monkeypatch.setattr(rig.host, "_plugins", {})
    (plugin,) = (await api.get("/api/v1/plugins")).json()["items"]
    assert (plugin["state"], plugin["distribution"], plugin["loaded"]) == ("missing", "agentpod-server", False)
    assert {one["reason"] for one in plugin["troubles"]} == {"PluginGone"}
    assert "agent talker" in plugin["error"]
    assert "probe always" in plugin["error"]
