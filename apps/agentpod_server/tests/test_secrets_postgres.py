"""The database's own secret store passes the contract, keeps values sealed, and joins the caller's transaction."""

from __future__ import annotations

import pytest

from agentpod_core.errors import NotFoundError, PermanentError
from agentpod_core.host import Host
from agentpod_core.testing.secret_stores import SecretStoreContract
from agentpod_core.values.workload import SecretRef
from agentpod_server.records import Scope
from agentpod_server.secrets import KeyRing, PostgresSecretStore
from agentpod_server.secrets.envelope import seal, unseal
from agentpod_server.store import tenants
from agentpod_server.store.ids import uuid7
from agentpod_server.store.testing import EVERY_SERVER, on_servers

pytest_generate_tests = on_servers(*EVERY_SERVER)

ALL = Scope()
KEYS = KeyRing.of(b"1" * 32)
VALUE = "S3cret-Value"


@pytest.fixture
async def ids(database):
    """The ids of two tenants."""
    async with database.transaction(ALL):
        return [(await tenants.create(slug=slug, address_range="10.214.0.0/16")).id for slug in ("acme", "globex")]


@pytest.fixture
def tenant(ids):
    """One tenant's id."""
    return ids[0]


@pytest.fixture
def other_tenant(ids):
    """Another tenant's id."""
    return ids[1]


@pytest.fixture
def secret_store(database):
    """The store, with a key."""
    return PostgresSecretStore(database, KEYS)


class TestPostgresSecretStore(SecretStoreContract):
    """The PostgreSQL secret store."""

    @pytest.fixture
    def host(self, secret_store):
        """The server's host: no entry point offers this store, the server does."""
        return Host(builtins=[secret_store])

    @pytest.fixture
    def secret_store(self, secret_store):
        """The store."""
        return secret_store

    @pytest.fixture
    def tenant(self, tenant):
        """One tenant."""
        return tenant

    @pytest.fixture
    def other_tenant(self, other_tenant):
        """Another."""
        return other_tenant


async def test_the_database_holds_no_value(database, secret_store, tenant):
    """No column of the stored row contains the value."""
    await secret_store.put(tenant, "key", VALUE)

    async with database.transaction(ALL) as transaction:
        row = await transaction.row("select * from secrets")

    assert VALUE.encode() not in b"".join(value for value in row.values() if isinstance(value, bytes))
    assert VALUE not in " ".join(str(value) for value in row.values())


async def test_the_newest_three_versions_are_kept(secret_store, tenant):
    """A fourth version pushes the first one out."""
    refs = [await secret_store.put(tenant, "key", str(number)) for number in range(4)]

    with pytest.raises(NotFoundError):
        await secret_store.get(tenant, refs[0])
    assert [await secret_store.get(tenant, ref) for ref in refs[1:]] == ["1", "2", "3"]


async def test_another_key_reads_nothing_and_is_named(database, secret_store, tenant):
    """With the wrong key file the error names the key that is missing, and no value."""
    ref = await secret_store.put(tenant, "key", VALUE)
    other = PostgresSecretStore(database, KeyRing.of(b"2" * 32))

    with pytest.raises(PermanentError) as raised:
        await other.get(tenant, ref)

    assert raised.value.reason == "SecretUnreadable"
    assert raised.value.params == {"key": "key", "key_id": KEYS.current.id}
    assert KEYS.current.id in raised.value.detail
    assert VALUE not in str(raised.value)


async def test_an_old_key_in_the_ring_still_reads(database, secret_store, tenant):
    """A new key wraps what is new while the old one opens what it wrapped."""
    old = await secret_store.put(tenant, "key", "old")
    both = PostgresSecretStore(database, KeyRing.of(b"2" * 32, b"1" * 32))

    new = await both.put(tenant, "key", "new")

    assert [await both.get(tenant, ref) for ref in (old, new)] == ["old", "new"]
    with pytest.raises(PermanentError):
        await secret_store.get(tenant, new)


@pytest.mark.parametrize(
    "change",
    [
        "sealed = overlay(sealed placing '\\x00'::bytea from 20)",
        "wrapped = overlay(wrapped placing '\\x00'::bytea from 20)",
        "sealed = ''",
        "sealed = (select sealed from secrets where key = 'other')",
        "wrapped = o.wrapped, sealed = o.sealed from (select * from secrets where key = 'other') o",
        "id = gen_random_uuid()",
    ],
)
async def test_a_row_that_was_changed_is_unreadable(database, secret_store, tenant, change):
    """A flipped byte, an emptied value, or parts moved in from another row are all noticed."""
    ref = await secret_store.put(tenant, "key", VALUE)
    await secret_store.put(tenant, "other", "other")
    async with database.transaction(ALL) as transaction:
        assert await transaction.execute(f"update secrets set {change} {_where(change)}") == 1

    with pytest.raises(PermanentError) as raised:
        await secret_store.get(tenant, ref)
    assert raised.value.reason == "SecretUnreadable"


def _where(change):
    return "where secrets.key = 'key'"


async def test_a_row_moved_to_another_tenant_is_unreadable(database, secret_store, tenant, other_tenant):
    """The seal is bound to its tenant: who can write rows still cannot hand a secret over."""
    ref = await secret_store.put(tenant, "key", VALUE)
    async with database.transaction(ALL) as transaction:
        await transaction.execute("update secrets set tenant_id = $1", other_tenant)

    with pytest.raises(PermanentError):
        await secret_store.get(other_tenant, ref)


async def test_secrets_come_and_go_with_the_callers_transaction(database, secret_store, tenant):
    """Put inside a transaction that fails, a secret never was; read inside, it is there."""
    with pytest.raises(LookupError):  # noqa: PT012
        async with database.transaction(ALL):
            ref = await secret_store.put(tenant, "key", VALUE)
            assert await secret_store.get(tenant, ref) == VALUE
            raise LookupError

    with pytest.raises(NotFoundError):
        await secret_store.get(tenant, SecretRef(key="key"))


async def test_another_tenants_transaction_is_not_joined(database, secret_store, tenant, other_tenant):
    """Inside the scope of one tenant, the secrets of another are a mistake of the program."""
    async with database.transaction(Scope(tenant_id=other_tenant)):
        with pytest.raises(RuntimeError, match="another tenant"):
            await secret_store.put(tenant, "key", VALUE)


async def test_a_tenant_that_is_no_tenant_has_no_secrets(secret_store):
    """An id that cannot be one finds nothing."""
    with pytest.raises(NotFoundError):
        await secret_store.get("no id", SecretRef(key="key"))


def test_neighbouring_names_do_not_run_into_each_other():
    """A row for key ``a`` of tenant ``1`` is not one for key empty of tenant ``1a``."""
    made = seal(KEYS, secret_id=str(uuid7()), tenant_id="1", key="a", version=1, value=VALUE)
    moved = type(made)(
        id=made.id, tenant_id="1a", key="", version=1, key_id=made.key_id, wrapped=made.wrapped, sealed=made.sealed
    )

    assert unseal(KEYS, made) == VALUE
    with pytest.raises(PermanentError):
        unseal(KEYS, moved)


def test_a_key_shows_its_id_only():
    """Neither repr nor str of a key ring holds a key."""
    assert "1111" not in f"{KEYS!r} {KEYS} {KEYS.current!r}"
    assert KEYS.current.id in repr(KEYS)
    assert len(KEYS.current.id) == 8
