"""Availability over the API: by day and month, at a glance, as CSV, and what is refused."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core.values.pods import Wanted
from agentpod_server.records import Role, Scope
from agentpod_server.store import pods
from agentpod_server.store.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAIN = "/api/v1/tenants/acme/pods/main"
ALL = Scope(actor="test")
HOUR = timedelta(hours=1)


async def _write(rig, pod, *changes):
    """Write transitions of a pod: moments with states."""
    async with rig.database.transaction(ALL) as transaction:
        for at, state in changes:
            await transaction.execute(
                "insert into availability (id, tenant_id, tenant, pod_id, pod, at, state)"
                " select $1, tenant_id, tenant, id, name, $3, $4 from pods where id = $2",
                uuid7(),
                pod["id"],
                at,
                state,
            )


def _days_ago(days, hours=0):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days) + timedelta(hours=hours)


def _text(moment):
    return moment.isoformat().replace("+00:00", "Z")


async def test_days_are_listed_in_their_order(api, rig):
    """Each day says for how long the pod was wanted, ready, and out of sight, and what that is in percent."""
    pod = (await rig.pod(api)).json()
    await _write(rig, pod, (_days_ago(2), "ready"), (_days_ago(1, 18), "not-ready"), (_days_ago(0), "not-wanted"))

    found = (await api.get(f"{MAIN}/availability", params={"since": _text(_days_ago(2))})).json()

    assert found["next"] is None
    assert [(one["ready_seconds"], one["wanted_seconds"], one["percent"]) for one in found["items"]] == [
        (86400, 86400, 100.0),
        (64800, 86400, 75.0),
        (0, 0, None),
    ]
    assert found["items"][0]["begin"] == _text(_days_ago(2))


async def test_a_time_when_nobody_led_is_unknown_to_tenants_too(api, rig):
    """A token of the tenant sees the same number as the platform, though not when it was led."""
    pod = (await rig.pod(api)).json()
    await _write(rig, pod, (_days_ago(1), "ready"), (_days_ago(1, 18), "not-ready"))
    async with rig.database.transaction(ALL) as transaction:
        await transaction.execute(
            "insert into availability_gaps (id, since, until) values ($1, $2, $3)",
            uuid7(),
            _days_ago(1, 12),
            _days_ago(1, 24),
        )
    params = {"since": _text(_days_ago(1)), "until": _text(_days_ago(0))}
    token = await rig.token_for(Role.VIEWER, "acme")

    async with rig.client(token) as theirs:
        for client in (api, theirs):
            (one,) = (await client.get("/api/v1/tenants/acme/availability", params=params)).json()["items"]
            assert (one["ready_seconds"], one["unknown_seconds"], one["percent"]) == (43200, 43200, 100.0)


async def test_a_tenant_counts_its_deleted_pods(api, rig):
    """What was down before it was deleted stays in the tenant's number."""
    pod = (await rig.pod(api)).json()
    other = (await rig.pod(api, name="other", subdomain="other")).json()
    await _write(rig, pod, (_days_ago(1), "ready"))
    await _write(rig, other, (_days_ago(1), "not-ready"), (_days_ago(1, 12), "not-wanted"))
    async with rig.database.transaction(ALL) as transaction:
        await pods.set_wanted(other["id"], Wanted.DELETED)
        await transaction.execute("delete from pods where id = $1", other["id"])

    params = {"since": _text(_days_ago(1)), "until": _text(_days_ago(0))}
    (one,) = (await api.get("/api/v1/tenants/acme/availability", params=params)).json()["items"]

    assert (one["wanted_seconds"], one["percent"]) == (129600, 66.666)


async def test_months_are_as_long_as_they_are(api, rig):
    """By month there is one item for each, the last one until now."""
    pod = (await rig.pod(api)).json()
    await _write(rig, pod, (_days_ago(40), "ready"))

    found = (await api.get(f"{MAIN}/availability", params={"by": "month"})).json()["items"]

    assert 12 <= len(found) <= 13
    assert all(one["begin"].endswith("-01T00:00:00Z") for one in found)
    assert found[-1]["percent"] == 100.0


async def test_a_glance_is_in_the_status_of_pod_and_tenant(api, rig):
    """Both say today, this month and last month; the tenant's has this month's number of each pod."""
    pod = (await rig.pod(api)).json()
    await _write(rig, pod, (datetime.now(UTC) - timedelta(minutes=10), "ready"))

    of_pod = (await api.get(f"{MAIN}/status")).json()["availability"]
    of_tenant = (await api.get("/api/v1/tenants/acme/status")).json()

    assert of_pod["this_month"]["percent"] == of_tenant["availability"]["this_month"]["percent"] == 100.0
    assert of_tenant["pods"][0]["availability"] == 100.0
    assert of_pod["this_month"]["begin"].endswith("-01T00:00:00Z")


async def test_a_pod_that_never_answered_has_no_number(api, rig):
    """Nobody was owed it yet."""
    await rig.pod(api)

    assert (await api.get(f"{MAIN}/status")).json()["availability"]["today"]["percent"] is None
    assert (await api.get("/api/v1/tenants/acme/status")).json()["pods"][0]["availability"] is None


async def test_csv_is_for_spreadsheets(api, rig):
    """The same rows as a file, under a heading, and no cell that a spreadsheet would take for a formula."""
    pod = (await rig.pod(api)).json()
    await _write(rig, pod, (_days_ago(1), "ready"), (_days_ago(0), "not-wanted"))
    params = {"since": _text(_days_ago(1)), "until": _text(_days_ago(0, 0.5))}

    answer = await api.get(f"{MAIN}/availability.csv", params=params)
    heading, *rows = csv.reader(io.StringIO(answer.text))

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="availability-acme-main.csv"'
    assert heading == [
        "begin", "end", "tenant", "pod", "ready_seconds", "wanted_seconds", "unknown_seconds", "percent",
    ]  # fmt: skip
    assert [row[2:] for row in rows] == [
        ["acme", "main", "86400.0", "86400.0", "0.0", "100.0"],
        ["acme", "main", "0.0", "0.0", "0.0", ""],
    ]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "BadPeriod"),
        ({"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "BadPeriod"),
        ({"since": "9999-12-31T23:59:59Z"}, "BadPeriod"),
        ({"until": "0001-01-01T00:00:00Z"}, "BadPeriod"),
        ({"by": "week"}, "BadQuery"),
        ({"since": "yesterday"}, "BadQuery"),
        ({"format": "csv"}, "BadQuery"),
    ],
)
async def test_a_time_that_makes_no_sense_is_refused(api, rig, params, reason):
    """A begin after its end, more than 400 days, and what cannot be read."""
    await rig.pod(api)

    answer = await api.get(f"{MAIN}/availability", params=params)

    assert (answer.status_code, answer.json()["reason"]) == (400, reason)


async def test_nobody_elses_availability_is_seen(api, rig):
    """A token of another tenant finds neither the tenant nor the pod."""
    await rig.pod(api)
    await rig.pod(api, tenant="beta")
    async with rig.client(await rig.token_for(Role.VIEWER, "beta")) as theirs:
        assert (await theirs.get(f"{MAIN}/availability")).status_code == 404
        assert (await theirs.get("/api/v1/tenants/acme/availability")).status_code == 404
