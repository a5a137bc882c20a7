from __future__ import annotations

import pytest

from agentpod_server.records import Role

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANTS = "/api/v1/tenants"


async def slugs(api, **params) -> tuple[list[str], str | None]:
    """Read a part of the tenants."""
    page = (await api.get(TENANTS, params=params)).json()
    return [one["slug"] for one in page["items"]], page["next"]


async def make(api, *names: str) -> None:
    """Make tenants."""
    for name in names:
        await api.post(TENANTS, json={"slug": name})


async def test_a_part_is_up_to_its_limit(api):
    """A limit of 1 and of 500 are the ends of what is given; without one it is 50."""
    await make(api, *(f"t{number:03}" for number in range(52)))
    assert len((await slugs(api, limit=1))[0]) == 1
    found, following = await slugs(api, limit=500)
    assert (len(found), following) == (52, None)
    assert len((await slugs(api))[0]) == 50


async def test_nothing_comes_twice_or_is_left_out_while_others_come_and_go(api):
    """What is there all the time is read once, in order, whatever is made or deleted between two parts."""
    await make(api, "ant", "cat", "eel", "gnu", "pig")
    first, cursor = await slugs(api, limit=2)
    assert first == ["ant", "cat"]
    await make(api, "ape", "dog")
    await api.delete(f"{TENANTS}/cat")
    second, cursor = await slugs(api, limit=2, cursor=cursor)
    assert second == ["dog", "eel"]
    await make(api, "emu")
    third, cursor = await slugs(api, limit=2, cursor=cursor)
    assert (third, cursor) == (["emu", "gnu"], cursor)
    assert (await slugs(api, limit=9, cursor=cursor))[0] == ["pig"]


async def test_a_cursor_may_be_used_again_and_with_another_limit(api):
    """A cursor is a place and no session: it can be asked twice, for more or for less."""
    await make(api, "ant", "bee", "cat", "dog")
    _, cursor = await slugs(api, limit=1)
    assert (await slugs(api, limit=1, cursor=cursor))[0] == ["bee"]
    assert (await slugs(api, limit=3, cursor=cursor))[0] == ["bee", "cat", "dog"]


async def test_a_cursor_says_nothing_that_can_be_changed(api):
    """One character more, less or other, and a cursor is refused with what to do."""
    await make(api, "ant", "bee", "cat")
    _, cursor = await slugs(api, limit=1)
    changed = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor) - 1)]
    for wrong in [*changed, cursor[1:], cursor + "AAAA", "=", "%00"]:
        answer = await api.get(TENANTS, params={"limit": 1, "cursor": wrong})
        body = answer.json()
        assert (answer.status_code, body["reason"], bool(body["repair"])) == (400, "BadCursor", True), wrong


async def test_a_cursor_belongs_to_its_reader(api, rig):
    """A cursor of the platform's administrator is nothing to a tenant's token, and the other way round."""
    for name in ("one", "two"):
        await rig.pod(api, name=name)
    theirs = (await api.get("/api/v1/pods", params={"limit": 1})).json()["next"]
    async with rig.client(await rig.token_for(Role.VIEWER, "acme")) as client:
        own = (await client.get("/api/v1/pods", params={"limit": 1})).json()["next"]
        assert (await client.get("/api/v1/pods", params={"cursor": own})).status_code == 200
        assert (await client.get("/api/v1/pods", params={"cursor": theirs})).json()["reason"] == "BadCursor"
    assert (await api.get("/api/v1/pods", params={"cursor": own})).json()["reason"] == "BadCursor"


@pytest.mark.parametrize(
    "other",
    [{"search": "m"}, {"phase": "running"}, {"adapter": "talker"}, {"tenant": "acme"}],
)
async def test_a_cursor_belongs_to_its_filters(api, rig, other):
    """A cursor that goes with one filter is refused with another."""
    for name in ("one", "two"):
        await rig.pod(api, name=name)
    cursor = (await api.get("/api/v1/pods", params={"limit": 1})).json()["next"]
    answer = await api.get("/api/v1/pods", params={"cursor": cursor} | other)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadCursor")
