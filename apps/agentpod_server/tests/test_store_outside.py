"""What an operator may get wrong with a database of their own: each time it is said what, where, and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from agentpod_core import catalogue
from agentpod_core.errors import AgentPodError, PermanentError, TemporaryError
from agentpod_server.store.access import access_beside, place_of, role_of
from agentpod_server.store.bootstrap import prepare
from agentpod_server.store.database import Database
from agentpod_server.store.instance import claim
from agentpod_server.store.migrations import migrate
from agentpod_server.store.reach import demand_usable, major_version
from agentpod_server.store.testing import OUR_SERVERS, on_servers
from agentpod_server.store.testing_servers import run

pytest_generate_tests = on_servers(*OUR_SERVERS)

ME, OTHER = "mmmmmmmm", "oooooooo"
PASSWORD = "p@ss/w:rd #?%&[ü"


@pytest.fixture
async def shop(postgres_server):
    """The URL that an operator gives: a user who may make roles and databases, and a database that is not there yet."""
    await run(postgres_server, f"create role maker login createrole createdb password '{PASSWORD}'")
    parts = urlsplit(postgres_server.admin("shop"))
    yield urlunsplit(parts._replace(netloc=f"maker:{quote(PASSWORD, safe='')}@127.0.0.1:{postgres_server.port}"))
    drops = ("database if exists shop with (force)", "role if exists shop_owner, shop_app", "role maker")
    await run(postgres_server, *(f"drop {what}" for what in drops))


def access_of(url, instance=ME):
    """The roles of an instance, whose passwords nobody else knows."""
    return access_beside(url, owner_password=f"owner of {instance}", app_password=f"app of {instance}")


async def prepared(url, instance=ME):
    """Prepare as an instance does, and give its roles."""
    access = access_of(url, instance)
    await prepare(url, access, instance=instance)
    return access


async def refusal(url, instance=ME):
    """Give the error of an attempt to prepare; its text has no password in it, and has all that it needs."""
    with pytest.raises(AgentPodError) as raised:
        await prepared(url, instance)
    error = raised.value
    told = "".join(
        f"{catalogue.text(error.reason, error.params, one)} {catalogue.repair(error.reason, error.params, one)}"
        for one in ("en", "zh-CN")
    )
    assert "{" not in told
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "Wr0ng", "owner of", "app of"):
        assert secret not in f"{told} {error} {error.detail} {error.__cause__}"
    return error


async def opened(access):
    """Open the database as the app."""
    database = Database(access.app_dsn)
    await database.open()
    return database


# What works.


async def test_a_password_of_any_characters_and_a_socket_work(postgres_server, shop):
    """Percent-encoding carries every character, over TCP and over a socket named in either way."""
    access = await prepared(shop)
    await migrate(access.owner_dsn, role_of(access.app_dsn))
    admin = await asyncpg.connect(postgres_server.admin())
    folder = await admin.fetchval("show unix_socket_directories")
    await admin.close()
    by_option = urlunsplit(
        urlsplit(shop)._replace(
            netloc=f"maker:{quote(PASSWORD, safe='')}@", query=f"host={folder}&port={postgres_server.port}"
        )
    )
    by_host = shop.replace(f"@127.0.0.1:{postgres_server.port}", f"@{quote(folder, safe='')}:{postgres_server.port}")

    for url in (by_option, by_host):
        await (await opened(await prepared(url))).close()
        assert place_of(url) == f"{folder}:{postgres_server.port}/shop"


async def test_the_admin_is_needed_the_first_time_only(postgres_server, shop):
    """Later the user of the URL may have no rights, no login, or be gone."""
    await prepared(shop)
    await run(postgres_server, "alter role maker nocreaterole nocreatedb nologin")

    await (await opened(await prepared(shop))).close()


# Whose database it is.


async def test_another_instance_is_refused_before_it_touches_anything(shop):
    """The second platform on a database is told both ids, and the first one's roles still get in."""
    first = await prepared(shop)
    await migrate(first.owner_dsn, role_of(first.app_dsn))
    database = await opened(first)
    await claim(database, ME)
    await claim(database, ME)

    error = await refusal(shop, OTHER)
    with pytest.raises(PermanentError) as raised:
        await claim(database, OTHER)

    expected = ("DatabaseOfAnotherInstance", {"found": ME, "ours": OTHER})
    assert [(one.reason, one.params) for one in (error, raised.value)] == [expected, expected]
    await claim(database, ME)
    await database.close()
    await (await opened(first)).close()


async def test_of_many_that_claim_at_once_one_has_it(database):
    """A database has one instance, whoever comes first, and the others are told which."""
    names = [letter * 8 for letter in "abcdef"]
    outcomes = await asyncio.gather(*(claim(database, name) for name in names), return_exceptions=True)

    winner = names[outcomes.index(None)]
    assert outcomes.count(None) == 1
    assert {error.params["found"] for error in outcomes if error is not None} == {winner}


async def test_lost_passwords_of_the_same_instance_are_mended(shop):
    """Who has the right id and the wrong passwords gets in again by the user of the URL."""
    first = await prepared(shop)
    await migrate(first.owner_dsn, role_of(first.app_dsn))
    database = await opened(first)
    await claim(database, ME)
    await database.close()
    again = access_beside(shop, owner_password="new", app_password="new")

    await prepare(shop, again, instance=ME)

    await (await opened(again)).close()


async def test_who_may_not_look_changes_nothing(postgres_server, shop):
    """A user who cannot read whose database it is, is refused, and the roles keep their passwords."""
    first = await prepared(shop)
    await migrate(first.owner_dsn, role_of(first.app_dsn))
    database = await opened(first)
    await claim(database, ME)
    await database.close()
    await run(postgres_server, "create role stranger login createrole createdb password 'x'")
    try:
        error = await refusal(shop.replace(urlsplit(shop).netloc.rpartition("@")[0], "stranger:x"), OTHER)
    finally:
        await run(postgres_server, "drop role stranger")

    assert error.reason == "DatabasePrivilegesMissing"
    await (await opened(first)).close()


# Rights and roles.


async def test_a_plain_user_is_told_what_to_run(postgres_server, shop):
    """Without rights the error says which are missing, in PostgreSQL's words, and how to give them."""
    await run(postgres_server, "alter role maker nocreaterole")

    error = await refusal(shop)

    assert (error.reason, error.params["user"], error.params["database"]) == (
        "DatabasePrivilegesMissing",
        "maker",
        "shop",
    )
    assert "permission denied to create role" in error.params["problem"]
    assert 'ALTER ROLE "maker" CREATEROLE CREATEDB' in catalogue.repair(error.reason, error.params)


async def test_a_database_that_somebody_made_takes_the_right_to_make_roles_only(postgres_server, shop):
    """Where databases are made by others, the owner of one needs no right to make more."""
    await run(postgres_server, "create database shop owner maker encoding 'UTF8' template template0")
    await run(postgres_server, "alter role maker nocreatedb")

    access = await prepared(shop)

    assert await migrate(access.owner_dsn, role_of(access.app_dsn))


async def test_a_database_of_somebody_else_is_refused(postgres_server, shop):
    """The user may make roles, but nothing in a database that a third one owns."""
    await run(postgres_server, "create database shop encoding 'UTF8' template template0")

    error = await refusal(shop)

    assert error.reason == "DatabasePrivilegesMissing"
    assert 'ALTER DATABASE "shop" OWNER TO "maker"' in catalogue.repair(error.reason, error.params)


@pytest.mark.parametrize("role", ["shop_owner", "shop_app"])
async def test_a_role_that_is_above_the_rules_is_refused(postgres_server, shop, role):
    """A role that passes by row-level security, from an earlier life, does not come into use."""
    await prepared(shop)
    await run(postgres_server, f"alter role {role} bypassrls")

    error = await refusal(shop)

    assert (error.reason, error.params) == ("DatabaseRoleTooStrong", {"user": role})


# The server, and the way to it.


@pytest.mark.parametrize(("number", "major"), [(90624, 9), (140018, 14), (150000, 15), (160010, 16), (180006, 18)])
def test_versions_are_read_as_postgresql_writes_them(number, major):
    """The number of a server tells its major version, also from when versions had three parts."""
    assert major_version(number) == major


class Old:
    """A connection to a PostgreSQL 14."""

    async def fetchval(self, _sql):
        """Give its version."""
        return 140018


async def test_an_older_postgresql_is_refused_by_name():
    """What is found and what is needed are both said."""
    with pytest.raises(PermanentError) as raised:
        await demand_usable(Old())

    assert (raised.value.reason, raised.value.params) == ("DatabaseTooOld", {"found": 14, "needed": 15})


async def test_nobody_there_is_said_with_the_place():
    """Host and port are named, and the system's own words."""
    error = await refusal("postgresql://maker:Wr0ng@127.0.0.1:1/shop")

    assert isinstance(error, TemporaryError)
    assert (error.reason, error.params["where"]) == ("DatabaseUnreachable", "127.0.0.1:1/shop")
    assert error.params["problem"] == "Connection refused"


async def test_an_unknown_host_is_said_with_the_place():
    """A name that means nothing is no traceback."""
    error = await refusal("postgresql://maker:Wr0ng@nowhere.invalid/shop")

    assert (error.reason, error.params["where"]) == ("DatabaseUnreachable", "nowhere.invalid:5432/shop")


async def test_a_server_of_another_kind_is_no_postgresql(free_web):
    """Something else that answers on that port is told from a database."""
    error = await refusal(f"postgresql://maker:Wr0ng@127.0.0.1:{free_web}/shop")

    assert error.reason in {"DatabaseUnreachable", "DatabaseTls"}
    assert error.params["where"] == f"127.0.0.1:{free_web}/shop"


@pytest.fixture
async def free_web():
    """The port of a web server."""

    async def answer(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def test_a_wrong_password_is_said_without_it(shop):
    """PostgreSQL's own words name the user; the password is nowhere."""
    error = await refusal(shop.replace(quote(PASSWORD, safe=""), "Wr0ng"))

    assert (error.reason, error.params["problem"]) == (
        "DatabaseRefused",
        'password authentication failed for user "maker"',
    )
    assert error.params["where"] == place_of(shop)


async def test_a_database_in_another_encoding_is_refused(postgres_server, shop):
    """What cannot hold every text is named with its encoding."""
    await run(postgres_server, "create database shop owner maker encoding 'LATIN1' locale 'C' template template0")

    error = await refusal(shop)

    assert (error.reason, error.params) == ("DatabaseEncoding", {"database": "shop", "found": "LATIN1"})


# Poolers.


@pytest.fixture
async def pooled(postgres_server, shop):
    """The URL of a pooler: like all of them it gives its clients a pid of its own to cancel by."""
    parts = urlsplit(shop)

    async def carry(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", postgres_server.port)
        await asyncio.gather(_pass_on(reader, there_writer), _answer(there_reader, writer))

    server = await asyncio.start_server(carry, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    yield urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}", query="sslmode=disable"))
    server.close()


async def _pass_on(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def _answer(reader, writer):
    """Pass the server's messages on, each as it is but for the key data."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            kind, length = struct.unpack("!cI", await reader.readexactly(5))
            body = await reader.readexactly(length - 4)
            if kind == b"K":
                body = struct.pack("!I", 1_234_567_890) + body[4:]
            writer.write(struct.pack("!cI", kind, length) + body)
    writer.close()


async def test_a_pooler_is_refused(pooled):
    """Listening and locks need a connection that stays; that it does not is said before anything is made."""
    assert (await refusal(pooled)).reason == "DatabasePooled"
