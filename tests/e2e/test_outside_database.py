"""A whole platform on a PostgreSQL that somebody else runs, the oldest that is supported."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from agentpod_server.store.testing_servers import debians_15, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

PASSWORD = "S3cret/of:the@operator #1?"
ENCODED = quote(PASSWORD, safe="")


@pytest.fixture(scope="module")
def outside():
    """Debian's PostgreSQL, with a user who may make roles and databases, and one who may not."""
    with debians_15() as server:
        asyncio.run(
            run(
                server,
                f"create role operator login createrole createdb password '{PASSWORD}'",
                f"create role plain login password '{PASSWORD}'",
                "create database latin encoding 'LATIN1' locale 'C' template template0 owner operator",
            )
        )
        yield server


def url(server, database="shop", user="operator", password=ENCODED, query="") -> str:
    """Give the URL that an operator would set."""
    return f"postgresql://{user}:{password}@127.0.0.1:{server.port}/{database}{query}"


@pytest.fixture(scope="module")
def shop(new_platform, outside):
    """A running platform on it."""
    platform = new_platform(network="10.219.0.0/17", extra={"AGENTPOD_DATABASE_URL": url(outside)})
    platform.up()
    platform.agentpod("image", "build", "echo")
    return platform


def ask(server, sql, database="shop"):
    """Ask the database as its superuser."""

    async def asked():
        connection = await asyncpg.connect(server.admin(database))
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(asked())


def command_lines() -> str:
    """Give what every user of the machine may read of every process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
    return "\n".join(found)


def test_a_platform_lives_on_it_and_comes_back(shop, outside, wait_until) -> None:
    """Roles, schema, tenant and pod are made there; killed, it comes back; its passwords show nowhere."""
    shop.agentpod("tenant", "create", "acme")
    shop.agentpod("pod", "create", "acme/main", "--adapter", "echo", "--set", "greeting=Hello")
    pod = shop.json("pod", "get", "acme/main")
    wait_until(lambda: shop.get("acme.localhost", "/readyz").status_code == 200, seconds=5, what="the pod answers")
    assert ask(outside, "select slug from tenants") == [("acme",)]
    assert ask(
        outside, "select rolname, rolsuper or rolbypassrls or rolcreaterole from pg_roles where rolname like 'shop_%'"
    ) == [("shop_owner", False), ("shop_app", False)]
    assert ask(outside, "select distinct usename from pg_stat_activity where usename = 'shop_app'")
    assert not (shop.state / "postgres").exists()
    assert not (shop.state / "run" / "postgres.json").exists()

    shop.end(signal.SIGKILL)
    assert shop.get("acme.localhost", "/readyz").status_code == 200
    # The privileges are needed the first time only.
    asyncio.run(run(outside, "alter role operator nocreaterole nocreatedb"))
    try:
        shop.up()
    finally:
        asyncio.run(run(outside, "alter role operator createrole createdb"))
    assert shop.container(pod["id"])["Id"]
    shop.agentpod("pod", "config", "set", "acme/main", "--set", "greeting=Again")
    wait_until(lambda: shop.get("acme.localhost", "/readyz").status_code == 200, seconds=20, what="the pod answers")

    kept = [PASSWORD, ENCODED, *(path.read_text().strip() for path in (shop.state / "keys").iterdir())]
    assert len(kept) == 4
    for where, text in (("processes", command_lines()), ("log", shop.log)):
        assert [secret for secret in kept if secret in text] == [], where


def test_a_second_platform_is_refused_and_the_first_goes_on(shop, outside, new_platform) -> None:
    """Two state folders and one URL: the second one says whose database it is, and changes nothing."""
    second = new_platform(network="10.219.128.0/17", extra={"AGENTPOD_DATABASE_URL": url(outside)})

    refused = second.agentpod("up", check=4, timeout=60)

    assert shop.instance in refused.stderr
    assert second.instance in refused.stderr
    assert "AGENTPOD_STATE_DIR" in refused.stderr
    assert "Traceback" not in refused.stderr
    ask(
        outside,
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'shop_app'",
    )
    assert shop.json("tenant", "get", "acme")["slug"] == "acme"
    shop.end(signal.SIGTERM)
    shop.up()


def test_a_database_that_stands_still_is_said_and_waited_for(shop, outside, wait_until) -> None:
    """While PostgreSQL is frozen, readiness says so and requests fail in time; then all goes on by itself."""
    pids = [outside.pid, *map(int, Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split())]
    ready = f"http://127.0.0.1:{shop.port}/readyz"
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer = httpx.get(ready, timeout=10)
        assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "StoreUnreachable")
        failed = shop.agentpod("tenant", "list", check=1, timeout=30)
        assert "does not answer" in failed.stderr
        assert shop.get("acme.localhost", "/readyz").status_code == 200
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: httpx.get(ready, timeout=10).status_code == 200, seconds=15, what="it is ready again")
    assert shop.json("tenant", "get", "acme")["slug"] == "acme"


def test_down_leaves_the_database_alone(shop, outside) -> None:
    """Server and router end; PostgreSQL is somebody else's."""
    shop.agentpod("down")

    assert shop.process.wait(timeout=30) == 0
    assert ask(outside, "select slug from tenants") == [("acme",)]
    shop.up()
    shop.agentpod("tenant", "delete", "acme", "--cascade", "--yes")


MISTAKES = [
    ({"user": "plain", "database": "other"}, 1, ["plain", "other", "CREATEROLE", "permission denied"]),
    ({"password": "Wr0ng-S3cret"}, 1, ["operator", "/shop", "password authentication failed"]),
    ({"database": "latin"}, 1, ["latin", "LATIN1", "UTF8"]),
    ({"query": "?sslmode=require"}, 1, ["TLS", "sslmode"]),
    ({"query": "?sslmode=never"}, 1, ["sslmode", "verify"]),
    ({"query": "?connect_timeout=5"}, 2, ["connect_timeout", "known are"]),
    ({"password": PASSWORD}, 2, ["percent-encoded", "%40"]),
]


@pytest.mark.parametrize(("wrong", "code", "texts"), MISTAKES)
def test_each_mistake_is_named(new_platform, outside, wrong, code, texts) -> None:
    """What, where and what to do; no password, no traceback, nothing left running."""
    platform = new_platform(network="10.219.0.0/17", extra={"AGENTPOD_DATABASE_URL": url(outside, **wrong)})

    refused = platform.agentpod("up", check=code, timeout=60)

    assert [text for text in [*texts, "AGENTPOD_DATABASE_URL"] if text not in refused.stderr] == []
    shown = refused.stdout + refused.stderr
    assert [secret for secret in (PASSWORD, ENCODED, "Wr0ng", "S3cret") if secret in shown] == []
    assert "Traceback" not in shown


def test_nobody_there_and_the_wrong_kind_are_named(new_platform) -> None:
    """A port where nobody listens, and a database of another make."""
    for given, code, texts in (
        ("postgresql://a:Wr0ng@127.0.0.1:1/shop", 1, ["127.0.0.1:1/shop", "Connection refused"]),
        ("mysql://a:Wr0ng@127.0.0.1/shop", 2, ["postgresql://"]),
        ("postgresql:///shop?host=/nowhere", 1, ["/nowhere", "No such file"]),
    ):
        platform = new_platform(network="10.219.0.0/17", extra={"AGENTPOD_DATABASE_URL": given})
        refused = platform.agentpod("up", check=code, timeout=60)
        assert [text for text in [*texts, "AGENTPOD_DATABASE_URL"] if text not in refused.stderr] == []
        assert "Wr0ng" not in refused.stderr
        assert "Traceback" not in refused.stderr
