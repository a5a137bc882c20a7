"""What every secret store must do, and one in memory that does it."""

from __future__ import annotations

import asyncio
import builtins
from typing import ClassVar

import pytest

from agentpod_core.errors import NotFoundError
from agentpod_core.plugpoints.secrets import SecretStore
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import to_define
from agentpod_core.values.workload import SecretRef

_VALUE = "S3cret-Value-That-Shows-Nowhere"


class MemorySecretStore(SecretStore):
    """Keeps secrets in memory, without encryption: for tests."""

    name: ClassVar[str] = "memory"
    title: ClassVar[str] = "Memory"

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], builtins.list[str]] = {}

    async def put(self, tenant: str, key: str, value: str) -> SecretRef:
        """Store a new version."""
        versions = self._kept.setdefault((tenant, key), [])
        versions.append(value)
        return SecretRef(key=key, store=self.name, version=len(versions))

    async def get(self, tenant: str, ref: SecretRef) -> str:
        """Give the value of that version."""
        versions = self._kept.get((tenant, ref.key), [])
        if not 0 < ref.version <= len(versions):
            raise NotFoundError("SecretNotFound", key=ref.key)
        return versions[ref.version - 1]

    async def delete(self, tenant: str, key: str) -> None:
        """Forget all versions."""
        self._kept.pop((tenant, key), None)

    async def list(self, tenant: str) -> builtins.list[SecretRef]:
        """List the newest reference of every key."""
        return [
            SecretRef(key=key, store=self.name, version=len(versions))
            for (owner, key), versions in sorted(self._kept.items())
            if owner == tenant
        ]


class SecretStoreContract(ImpureContract):
    """The facts that hold for every secret store.

    Fixtures: ``secret_store`` (open, with nothing in it), ``tenant`` and ``other_tenant`` (ids). Flag:
    ``is_installed``. The whole of what an author writes::

        class TestVaultStore(SecretStoreContract):
            @pytest_asyncio.fixture
            async def secret_store(self, vault_context):
                store = VaultStore()
                await store.open(vault_context)
                yield store
                await store.close()

            @pytest.fixture
            def tenant(self):
                return "01900000-0000-7000-8000-000000000001"

            @pytest.fixture
            def other_tenant(self):
                return "01900000-0000-7000-8000-000000000002"
    """

    @to_define
    def secret_store(self) -> SecretStore:
        """An open store with nothing in it."""
        raise NotImplementedError

    @to_define
    def tenant(self) -> str:
        """The id of a tenant."""
        raise NotImplementedError

    @to_define
    def other_tenant(self) -> str:
        """The id of another tenant."""
        raise NotImplementedError

    @pytest.fixture
    def implementation(self, secret_store: SecretStore) -> SecretStore:
        """What is under contract."""
        return secret_store

    @pytest.mark.parametrize("value", [_VALUE, "", "多 行\n\ttext 🔑", "x" * 100_000])
    async def test_what_was_put_is_given(self, secret_store: SecretStore, tenant: str, value: str) -> None:
        """A value comes back as it was, empty, long or in any script."""
        ref = await secret_store.put(tenant, "key", value)

        assert await secret_store.get(tenant, ref) == value

    async def test_a_reference_names_its_store(self, secret_store: SecretStore, tenant: str) -> None:
        """The reference leads back to where the value is kept."""
        ref = await secret_store.put(tenant, "a/b c.d", _VALUE)

        assert (ref.key, ref.store) == ("a/b c.d", secret_store.name)

    async def test_every_put_is_a_new_version(self, secret_store: SecretStore, tenant: str) -> None:
        """A new value has a higher version, and the one before can still be read."""
        old = await secret_store.put(tenant, "key", "old")
        new = await secret_store.put(tenant, "key", "new")

        assert new.version > old.version
        assert [await secret_store.get(tenant, ref) for ref in (old, new)] == ["old", "new"]

    async def test_puts_at_once_get_versions_of_their_own(self, secret_store: SecretStore, tenant: str) -> None:
        """A race for one key loses no value and shares no version."""
        values = ["a", "b", "c"]

        refs = await asyncio.gather(*(secret_store.put(tenant, "key", value) for value in values))

        assert [await secret_store.get(tenant, ref) for ref in refs] == values
        assert len({ref.version for ref in refs}) == 3

    async def test_what_is_not_there_is_not_found(self, secret_store: SecretStore, tenant: str) -> None:
        """An unknown key and an unknown version are not found."""
        ref = await secret_store.put(tenant, "key", _VALUE)
        unknown = SecretRef(key="key", store=ref.store, version=ref.version + 1)

        for missing in (unknown, SecretRef(key="other", store=ref.store)):
            with pytest.raises(NotFoundError) as raised:
                await secret_store.get(tenant, missing)
            assert raised.value.reason == "SecretNotFound"

    async def test_a_tenant_sees_its_own_only(self, secret_store: SecretStore, tenant: str, other_tenant: str) -> None:
        """Another tenant can neither read, list nor delete it, and may have the same key."""
        ref = await secret_store.put(tenant, "key", _VALUE)

        with pytest.raises(NotFoundError):
            await secret_store.get(other_tenant, ref)
        assert await secret_store.list(other_tenant) == []
        await secret_store.delete(other_tenant, "key")
        theirs = await secret_store.put(other_tenant, "key", "theirs")

        assert await secret_store.get(tenant, ref) == _VALUE
        assert await secret_store.get(other_tenant, theirs) == "theirs"

    async def test_the_platform_has_secrets_of_its_own(self, secret_store: SecretStore, tenant: str) -> None:
        """Without a tenant a secret is the platform's, and no tenant's."""
        ref = await secret_store.put("", "own", _VALUE)

        assert await secret_store.get("", ref) == _VALUE
        assert [found.key for found in await secret_store.list("")] == ["own"]
        with pytest.raises(NotFoundError):
            await secret_store.get(tenant, ref)

    async def test_deleting_forgets_all_versions(self, secret_store: SecretStore, tenant: str) -> None:
        """Nothing of a deleted key can be read; other keys stay, and a second time is fine."""
        refs = [await secret_store.put(tenant, "key", value) for value in ("old", "new")]
        kept = await secret_store.put(tenant, "key2", "kept")

        await secret_store.delete(tenant, "key")
        await secret_store.delete(tenant, "key")

        for ref in refs:
            with pytest.raises(NotFoundError):
                await secret_store.get(tenant, ref)
        assert await secret_store.get(tenant, kept) == "kept"

    async def test_the_list_gives_the_newest_references(self, secret_store: SecretStore, tenant: str) -> None:
        """Each key is listed once, by its newest version, without a value."""
        await secret_store.put(tenant, "a", _VALUE)
        newest = [await secret_store.put(tenant, "a", _VALUE), await secret_store.put(tenant, "b", _VALUE)]

        listed = await secret_store.list(tenant)

        assert sorted(listed, key=lambda ref: ref.key) == newest
        assert _VALUE not in repr(listed)

    async def test_a_store_shows_no_value(self, secret_store: SecretStore, tenant: str) -> None:
        """Neither the store's repr nor an error holds a value."""
        ref = await secret_store.put(tenant, "key", _VALUE)
        with pytest.raises(NotFoundError) as raised:
            await secret_store.get(tenant, SecretRef(key="key", store=ref.store, version=99))

        assert _VALUE not in repr(secret_store)
        assert _VALUE not in f"{raised.value} {raised.value!r} {raised.value.params}"
