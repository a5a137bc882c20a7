"""The secret store in memory passes the contract, and each test of it finds a store that is broken in its way."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
import pytest

from agentpod_core.errors import NotFoundError
from agentpod_core.host import Host
from agentpod_core.testing import MemorySecretStore, SecretStoreContract
from agentpod_core.testing.teeth import Broken, Teeth
from agentpod_core.values.workload import SecretRef


class TestMemorySecretStore(SecretStoreContract):
    """The memory secret store."""

    kind = MemorySecretStore
    offers: ClassVar = (MemorySecretStore,)

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def secret_store(self):
        return self.kind()

    @pytest.fixture
    def tenant(self):
        return "t1"

    @pytest.fixture
    def other_tenant(self):
        return "t2"


class Untitled(MemorySecretStore):
    title = " "


class ClosesOnce(MemorySecretStore):
    async def close(self):
        if self._kept is None:
            raise RuntimeError("closed already")
        self._kept = None


class CutsShort(MemorySecretStore):
    async def put(self, tenant, key, value):
        return await super().put(tenant, key, value[:4096])


class RenamesKeys(MemorySecretStore):
    async def put(self, tenant, key, value):
        return await super().put(tenant, key.replace(" ", "_"), value)


class CountsDown(MemorySecretStore):
    """Its newest version has the lowest number."""

    async def put(self, tenant, key, value):
        return _mirrored(await super().put(tenant, key, value))

    async def get(self, tenant, ref):
        return await super().get(tenant, _mirrored(ref))

    async def list(self, tenant):
        return [_mirrored(ref) for ref in await super().list(tenant)]


def _mirrored(ref):
    return msgspec.structs.replace(ref, version=1000 - ref.version)


class Races(MemorySecretStore):
    """It looks, waits, and writes what was right when it looked."""

    async def put(self, tenant, key, value):
        before = list(self._kept.get((tenant, key), []))
        await asyncio.sleep(0)
        self._kept[tenant, key] = [*before, value]
        return SecretRef(key=key, store=self.name, version=len(before) + 1)


class SaysItOtherwise(MemorySecretStore):
    async def get(self, tenant, ref):
        try:
            return await super().get(tenant, ref)
        except NotFoundError:
            raise NotFoundError("PodNotFound", pod=ref.key) from None


class DeletesForAll(MemorySecretStore):
    async def delete(self, tenant, key):
        self._kept = {place: versions for place, versions in self._kept.items() if place[1] != key}


class KnowsTenantsOnly(MemorySecretStore):
    async def list(self, tenant):
        return await super().list(tenant) if tenant else []


class ForgetsTheNewest(MemorySecretStore):
    async def delete(self, tenant, key):
        self._kept.get((tenant, key), [])[1:] = []


class ListsTheOldest(MemorySecretStore):
    async def list(self, tenant):
        return [msgspec.structs.replace(ref, version=1) for ref in await super().list(tenant)]


class ShowsItself(MemorySecretStore):
    def __repr__(self):
        return f"ShowsItself({self._kept})"


class TestTeeth(Teeth):
    contract = TestMemorySecretStore
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_every_put_is_a_new_version": lambda self: None}),
        "test_no_part_is_hidden": Broken(changes={"is_installed": False}),
        "test_name_is_a_slug": Untitled,
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": ()}),
        "test_closing_is_idempotent": ClosesOnce,
        "test_what_was_put_is_given": CutsShort,
        "test_a_reference_names_its_store": RenamesKeys,
        "test_every_put_is_a_new_version": CountsDown,
        "test_puts_at_once_get_versions_of_their_own": Races,
        "test_what_is_not_there_is_not_found": SaysItOtherwise,
        "test_a_tenant_sees_its_own_only": DeletesForAll,
        "test_the_platform_has_secrets_of_its_own": KnowsTenantsOnly,
        "test_deleting_forgets_all_versions": ForgetsTheNewest,
        "test_the_list_gives_the_newest_references": ListsTheOldest,
        "test_a_store_shows_no_value": ShowsItself,
    }
