"""Making and changing what is asked of a pod: checked as a whole, rendered, stored in one transaction.

Everything that is wrong is told at once, and whatever fails leaves nothing half-made.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

import msgspec

from agentpod_core import AgentAdapter, ConfigError, ConflictError, Problem, SecretRef, Workload, catalogue, schema
from agentpod_core.schema import Accepted
from agentpod_core.values.names import slug_problem
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import Happening
from agentpod_server.records import Placement, PodRecord, Scope
from agentpod_server.services import asked as wishes
from agentpod_server.services import config
from agentpod_server.services.addresses import Addresses
from agentpod_server.services.asked import Asked
from agentpod_server.services.config import Given
from agentpod_server.services.offers import Offers
from agentpod_server.services.render import Place, pod_view, render
from agentpod_server.services.vault import Vault
from agentpod_server.store import audit, events, pod_listings, pods, tenants
from agentpod_server.store.database import Database


class Specs:
    """The use cases that make a new generation of a pod's spec."""

    def __init__(self, database: Database, offers: Offers, vault: Vault, addresses: Addresses) -> None:
        self._database = database
        self._offers = offers
        self._vault = vault
        self._addresses = addresses

    async def create(
        self, scope: Scope, tenant: str, *, name: str, adapter: str, asked: Asked
    ) -> tuple[PodRecord, bool]:
        """Make a pod; asked the same again, give the one that exists. The flag says whether it is new.

        Raises:
            NotFoundError: ``TenantNotFound``.
            ConfigError: ``InvalidConfig`` with everything that is wrong.
            ConflictError: ``PodExists`` with other content, ``SubdomainTaken`` with its holder,
                ``TenantDeleting``, ``PodDeleting``, ``AddressesExhausted``.
        """
        kind = self._offers.find_adapter(adapter)
        asked = msgspec.structs.replace(asked, subdomain=None if asked.subdomain is msgspec.UNSET else asked.subdomain)
        spec, problems = wishes.apply(asked, PodSpec(adapter=adapter), tenant=tenant, name=name, adapter=kind)
        if name_problem := slug_problem(name, "$.name"):
            # The default subdomain is made of the name: one problem, not two.
            problems = [name_problem, *(one for one in problems if one.path != "$.subdomain" or asked.subdomain)]
        written: list[SecretRef] = []
        given = Given() if asked.given is msgspec.UNSET else asked.given
        try:
            async with self._database.transaction(scope):
                await tenants.get(tenant)
                if kind is None:
                    await self._refuse([*problems, self._offers.adapter_problem(adapter)], spec, tenant, name)
                there = await pods.find(tenant, name)
                accepted = config.check(
                    kind.config_type, given, None if there is None else await self._present(kind, there)
                )
                if problems or accepted.problems:
                    await self._refuse([*problems, *accepted.problems], spec, tenant, name)
                spec = msgspec.structs.replace(spec, config_version=kind.config_version)
                if there is not None:
                    return await self._same(there, kind, spec, accepted), False
                placement = await pods.place(tenant)
                # Whoever asked for the same a moment ago held the tenant's lock until now.
                there = await pods.find(tenant, name)
                if there is not None:
                    return await self._same(there, kind, spec, accepted), False
                return await self._make(placement, name, kind, spec, accepted, written), True
        except BaseException:
            if written and not self._vault.is_transactional:
                await self._forget(scope, tenant, written)
            raise

    async def update(
        self, scope: Scope, tenant: str, name: str, *, expected: Collection[int] | None, asked: Asked
    ) -> PodRecord:
        """Change what was asked of a pod, if it is of one of the ``expected`` generations; None is any.

        Nothing new makes no new generation.

        Raises:
            NotFoundError: ``PodNotFound``; the plugin of its adapter is gone (``UnknownAdapter``).
            ConfigError: ``InvalidConfig`` with everything that is wrong.
            ConflictError: ``GenerationMismatch``, ``SubdomainTaken``, ``PodDeleting``.
        """
        async with self._database.transaction(scope):
            before = await self._current(tenant, name, expected)
            at = None if expected is None else before.generation
            kind = self._offers.find_adapter(before.spec.adapter)
            spec, problems = wishes.apply(asked, before.spec, tenant=tenant, name=name, adapter=kind)
            if kind is None and (asked.given is not msgspec.UNSET or not _only_wanted(spec, before.spec)):
                problems.append(self._offers.adapter_problem(before.spec.adapter))
            accepted = None
            if kind is not None and asked.given is not msgspec.UNSET:
                accepted = config.check(kind.config_type, asked.given, await self._present(kind, before))
                problems += accepted.problems
            if problems:
                raise ConfigError(problems)
            if kind is None or (accepted is None and _only_wanted(spec, before.spec)):
                return await self._keep(before, spec, at)
            changed = await self._rendered(before, kind, spec, accepted, at)
            if changed.generation != before.generation:
                _note(changed, "PodChanged", "pod.update")
            return changed

    async def rotate(self, scope: Scope, tenant: str, name: str) -> PodRecord:
        """Give a pod new generated secrets; its agent gets them with its next generation.

        Raises:
            NotFoundError: ``PodNotFound``.
            ConflictError: its agent has no token (``NothingToRotate``), ``PodDeleting``.
        """
        async with self._database.transaction(scope):
            before = await self._current(tenant, name, None)
            kind = self._offers.adapter(before.spec.adapter)
            if not kind.generated_secrets:
                raise ConflictError("NothingToRotate", tenant=tenant, pod=name, adapter=kind.name)
            stored = await self._present(kind, before)
            spec = msgspec.structs.replace(
                before.spec, config=stored, config_version=kind.config_version, rotations=before.spec.rotations + 1
            )
            secrets = await self._vault.generate(before.tenant_id, before.id, kind)
            workload = await self._render(kind, spec, _place_of(before), secrets)
            after = await pods.change(before.id, expected=None, spec=spec, workload=workload, secrets=secrets)
            _note(after, "TokenRotated", "pod.rotate-token")
            return after

    async def _make(  # noqa: PLR0913 - the parts of a pod
        self,
        placement: Placement,
        name: str,
        kind: AgentAdapter[Any],
        spec: PodSpec,
        accepted: Accepted,
        written: list[SecretRef],
    ) -> PodRecord:
        refs = await self._vault.put(placement.tenant_id, _owner(placement.id), accepted.secrets)
        written.extend(refs.values())
        generated = await self._vault.generate(placement.tenant_id, placement.id, kind)
        written.extend(generated.values())
        spec = msgspec.structs.replace(spec, config=schema.put_refs(accepted.value, refs))
        place = Place(
            id=placement.id,
            name=name,
            tenant=placement.tenant,
            tenant_name=placement.tenant_name,
            address=placement.address,
            lease=placement.lease,
        )
        workload = await self._render(kind, spec, place, generated)
        made = await pods.create(
            placement, name=name, spec=spec, workload=workload, secrets=generated, credential=kind.credential
        )
        _note(made, "PodCreated", "pod.create")
        return made

    async def _same(self, there: PodRecord, kind: AgentAdapter[Any], spec: PodSpec, accepted: Accepted) -> PodRecord:
        """Give the pod that exists, if it was asked for in the same words."""
        where = {"tenant": there.tenant, "pod": there.name}
        if there.spec.wanted is Wanted.DELETED:
            raise ConflictError("PodDeleting", **where)
        form, old = config.published(kind.config_type), there.spec
        if old.adapter != kind.name:
            raise ConflictError("PodExists", **where, differences=["adapter"])
        stored = await self._present(kind, there)
        # What happened to the pod since (stopped, restarted, rotated) does not make it another pod.
        now = msgspec.structs.replace(
            old, config={}, config_version=0, wanted=Wanted.RUNNING, restarts=0, rotations=0, keep_data=False
        )
        then = msgspec.structs.replace(spec, config={}, config_version=0, wanted=Wanted.RUNNING)
        shown = schema.mask(form, schema.put_refs(accepted.value, dict.fromkeys(accepted.secrets, SecretRef(key=""))))
        differences = [
            *(field for field in PodSpec.__struct_fields__ if getattr(now, field) != getattr(then, field)),
            *config.differences(schema.mask(form, stored), shown),
        ]
        for path in await self._vault.differing(there.tenant_id, accepted.secrets, stored):
            if not any(f"config.{path}.".startswith(f"{known}.") for known in differences):
                differences.append(f"config.{path}")
        if differences:
            raise ConflictError("PodExists", **where, differences=sorted(differences))
        return there

    async def _rendered(
        self,
        before: PodRecord,
        kind: AgentAdapter[Any],
        spec: PodSpec,
        accepted: Accepted | None,
        expected: int | None,
    ) -> PodRecord:
        stored = await self._present(kind, before)
        value = stored
        if accepted is not None:
            refs = await self._vault.put(before.tenant_id, _owner(before.id), accepted.secrets, stored)
            value = schema.put_refs(accepted.value, refs)
        spec = msgspec.structs.replace(spec, config=value, config_version=kind.config_version)
        if spec == msgspec.structs.replace(before.spec, config=stored, config_version=kind.config_version):
            return before
        # A newer adapter may ask for one that the pod was made without.
        secrets = before.secrets | await self._vault.generate(before.tenant_id, before.id, kind, besides=before.secrets)
        workload = await self._render(kind, spec, _place_of(before), secrets)
        after = await pods.change(
            before.id, expected=expected, spec=spec, workload=workload, secrets=secrets, credential=kind.credential
        )
        await self._vault.drop_unused(before.tenant_id, stored, value)
        return after

    async def _keep(self, before: PodRecord, spec: PodSpec, expected: int | None) -> PodRecord:
        """Change what needs no rendering: whether the pod is wanted to run."""
        after = await pods.change(before.id, expected=expected, spec=spec)
        if after.generation != before.generation:
            stopped = spec.wanted is Wanted.STOPPED
            _note(after, "PodStopAsked" if stopped else "PodStartAsked", "pod.stop" if stopped else "pod.start")
        return after

    async def _current(self, tenant: str, name: str, expected: Collection[int] | None) -> PodRecord:
        before = await pods.get(tenant, name)
        if expected is not None and before.generation not in expected:
            raise ConflictError("GenerationMismatch", expected=sorted(expected), actual=before.generation)
        if before.spec.wanted is Wanted.DELETED:
            raise ConflictError("PodDeleting", tenant=tenant, pod=name)
        return before

    async def _present(self, kind: AgentAdapter[Any], pod: PodRecord) -> dict[str, Any]:
        if kind.name != pod.spec.adapter:
            return {}
        if pod.spec.config_version == kind.config_version:
            return pod.spec.config
        lifted: dict[str, Any] = await self._offers.ask(kind, "upgrade", pod.spec.config_version, pod.spec.config)
        return lifted

    async def _render(
        self, kind: AgentAdapter[Any], spec: PodSpec, place: Place, secrets: dict[str, SecretRef]
    ) -> Workload:
        view = pod_view(kind, place, spec, secrets, self._addresses)
        return await render(kind, spec, view, self._offers)

    async def _refuse(self, problems: list[Problem], spec: PodSpec, tenant: str, name: str) -> NoReturn:
        """Refuse with all problems, and name who holds the subdomain where somebody does."""
        found = await pod_listings.listing(search=spec.subdomain, limit=500)
        holder = next((one for one in found.items if one.subdomain == spec.subdomain), None)
        if holder is not None and (holder.tenant, holder.name) != (tenant, name):
            params = {"subdomain": spec.subdomain, "holder": f"{holder.tenant}/{holder.name}"}
            message = catalogue.text("SubdomainTaken", params)
            taken = Problem(path="$.subdomain", reason="SubdomainTaken", params=params, message=message)
            problems = [*problems, taken]
        raise ConfigError(problems)

    async def _forget(self, scope: Scope, tenant: str, written: list[SecretRef]) -> None:
        async with self._database.transaction(scope):
            owner = await tenants.find(tenant)
            if owner is not None:
                await self._vault.drop_all(owner.id, written)


def _owner(pod_id: str) -> str:
    """Give what the keys of a config's secrets begin with."""
    return f"pod/{pod_id}/config"


def _only_wanted(spec: PodSpec, before: PodSpec) -> bool:
    return msgspec.structs.replace(spec, wanted=before.wanted) == before


def _place_of(pod: PodRecord) -> Place:
    return Place(
        id=pod.id,
        name=pod.name,
        tenant=pod.tenant,
        tenant_name=pod.tenant_name,
        address=pod.address,
        lease=pod.lease,
    )


def _note(pod: PodRecord, reason: str, action: str) -> None:
    params = {"tenant": pod.tenant, "pod": pod.name}
    events.append_for(pod, Happening(kind="pod", reason=reason, params=params))
    audit.append(action, f"{pod.tenant}/{pod.name}", tenant_id=pod.tenant_id, params={"generation": pod.generation})
