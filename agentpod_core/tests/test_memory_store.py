"""The memory store passes the contract of the store, and a broken one does not."""

from __future__ import annotations

import pytest

from agentpod_core.testing.memory_store import MemoryStore
from agentpod_core.testing.secret_stores import MemorySecretStore, SecretStoreContract
from agentpod_core.testing.stores import StoreContract


class TestMemoryStore(StoreContract):
    """The memory store, which is its own stage."""

    @pytest.fixture
    def store(self):
        """An empty memory store."""
        return MemoryStore()

    @pytest.fixture
    def stage(self, store):
        """The store itself."""
        return store


class TestMemorySecretStore(SecretStoreContract):
    """The memory secret store."""

    @pytest.fixture
    def secret_store(self):
        """An empty memory secret store."""
        return MemorySecretStore()

    @pytest.fixture
    def tenant(self):
        """Some id."""
        return "t1"

    @pytest.fixture
    def other_tenant(self):
        """Another id."""
        return "t2"


class _Unfenced(MemoryStore):
    def _demand(self, epoch):
        self._reach()


async def test_the_contract_finds_a_store_without_fencing():
    """A store that lets a stale leader write fails the contract."""
    store = _Unfenced()
    with pytest.raises(pytest.fail.Exception):
        await StoreContract().test_a_stale_epoch_changes_nothing(store, store)


class _Silent(MemoryStore):
    def lose_changes(self):
        pass

    def _tell(self, *keys):
        pass


async def test_the_contract_finds_a_store_that_tells_nothing(monkeypatch):
    """A store without notifications fails the contract."""
    monkeypatch.setattr("agentpod_core.testing.store_changes.PATIENCE", 0.05)
    store = _Silent()
    with pytest.raises(TimeoutError):
        await StoreContract().test_changes_name_what_changed(store, store)


class _OneTenant(MemorySecretStore):
    async def put(self, tenant, key, value):
        return await super().put("all", key, value)

    async def get(self, tenant, ref):
        return await super().get("all", ref)


async def test_the_contract_finds_a_secret_store_that_mixes_tenants():
    """A store that lets one tenant read another's secret fails the contract."""
    with pytest.raises(pytest.fail.Exception):
        await SecretStoreContract().test_a_tenant_sees_its_own_only(_OneTenant(), "a", "b")


async def test_a_failure_can_be_ordered():
    """The next call raises what was ordered, and the one after works."""
    store = MemoryStore()
    store.fail(OSError("ordered"))

    with pytest.raises(OSError, match="ordered"):
        await store.pods()
    assert await store.pods() == []
