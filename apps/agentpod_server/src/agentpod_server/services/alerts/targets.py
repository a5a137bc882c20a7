"""Whom alerts are told: targets of installed notifiers, their secrets apart."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from msgspec import Struct

from agentpod_core import (
    AgentPodError,
    Clock,
    ConfigError,
    ConflictError,
    Notifier,
    Problem,
    SecretRef,
    Severity,
    schema,
)
from agentpod_core.schema import Accepted
from agentpod_core.values.alerts import REASONS
from agentpod_core.values.names import slug_problem
from agentpod_core.values.status import Happening
from agentpod_server.alert_records import TargetRecord
from agentpod_server.records import Failure, Scope, TenantRecord
from agentpod_server.services import config
from agentpod_server.services.alerts.messages import Wording
from agentpod_server.services.alerts.reading import problem
from agentpod_server.services.alerts.turns import Turns
from agentpod_server.services.config import Given
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.offers import Offers
from agentpod_server.services.vault import Vault
from agentpod_server.store import audit, events, outbox, targets, tenants
from agentpod_server.store.database import Database
from agentpod_server.store.ids import uuid7

MOST_OF_A_TENANT = 20
"""Each may take its time, and who waits for them is the platform."""


class Asked(Struct, frozen=True, kw_only=True):
    """A target to be: ``tenant`` is a slug, ``given`` its settings as somebody typed them in."""

    name: str
    kind: str
    tenant: str | None = None
    given: Given = Given()
    min_severity: Severity = Severity.WARNING
    reasons: tuple[str, ...] = ()


class Tested(Struct, frozen=True, kw_only=True):
    """What came of a test; without a ``failure`` the target took the message."""

    seconds: float
    failure: Failure | None = None


class Targets:
    """The use cases around targets. Those of a tenant hear of that tenant's alerts only."""

    def __init__(  # noqa: PLR0913 - what targets are made of
        self,
        database: Database,
        cursors: Cursors,
        offers: Offers,
        vault: Vault,
        clock: Clock,
        wording: Wording,
        turns: Turns,
    ) -> None:
        self._database = database
        self._cursors = cursors
        self._offers = offers
        self._vault = vault
        self._clock = clock
        self._wording = wording
        self._turns = turns

    async def get(self, scope: Scope, name: str, *, tenant: str | None = None) -> TargetRecord:
        """Give one target, or NotFoundError."""
        async with self._database.transaction(scope):
            return await targets.get(name, tenant)

    async def listing(
        self, scope: Scope, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[TargetRecord], str | None]:
        """List targets by tenant and name, the platform's first, with the cursor of the next part."""
        filters = {"tenant": tenant}
        after = self._cursors.read(scope, "targets", filters, cursor) if cursor else None
        async with self._database.transaction(scope):
            page = await targets.listing(tenant=tenant, after=after, limit=limit)
        following = self._cursors.write(scope, "targets", filters, page.next) if page.next else None
        return list(page.items), following

    async def create(self, scope: Scope, asked: Asked) -> tuple[TargetRecord, bool]:
        """Make a target; asked the same again, give the one that exists. The flag says whether it is new.

        Raises:
            ConfigError: all that is wrong with it.
            NotFoundError: ``TenantNotFound``.
            ConflictError: ``TargetExists`` with other content; ``TooManyTargets``.
            TemporaryError: the notifier could not look at it; ``NotifierBusy``.
        """
        notifier = self._offers.find_notifier(asked.kind)
        problems = _problems(asked)
        if notifier is None:
            _refuse([*problems, unknown_kind(self._offers, asked.kind)])
        accepted = config.check(notifier.target_type, asked.given)
        if problems or accepted.problems:
            _refuse([*problems, *accepted.problems])
        owner = None
        async with self._database.transaction(scope):
            if asked.tenant:
                owner = await tenants.get(asked.tenant)
            elif scope.tenant_id:
                owner = await tenants.by_id(scope.tenant_id)
        async with self._turns.asked(owner.id if owner else None):
            await look_at(notifier, accepted, {})
        written: list[SecretRef] = []
        try:
            async with self._database.transaction(scope):
                return await self._made(owner, asked, accepted, written)
        except BaseException:
            if written and not self._vault.is_transactional:
                await self._vault.drop_all(scope.tenant_id or "", written)
            raise

    async def remove(self, scope: Scope, name: str, *, tenant: str | None = None) -> None:
        """Drop a target, its secrets, and what it was still to be told.

        Raises:
            NotFoundError: ``TargetNotFound``.
        """
        async with self._database.transaction(scope):
            target = await targets.get(name, tenant)
            await self._vault.drop_unused(target.tenant_id or "", target.settings, {})
            await targets.delete(target.id)
            note(target, "TargetRemoved", "notifier.remove")

    async def test(self, scope: Scope, name: str, *, tenant: str | None = None) -> Tested:
        """Send a test message now, and say what came of it.

        Raises:
            NotFoundError: ``TargetNotFound``.
            TemporaryError: ``NotifierBusy``: too much is under way, and nothing was sent.
        """
        target = await self.get(scope, name, tenant=tenant)
        async with self._turns.asked(target.tenant_id):
            began, failure = time.monotonic(), None
            try:
                message = self._wording.test(str(uuid7()), self._clock.now())
                await self._offers.send(
                    message, target, await self._vault.material(target.tenant_id or "", target.settings)
                )
            except AgentPodError as error:
                failure = failure_of(error)
            seconds = time.monotonic() - began
        async with self._database.transaction(scope):
            if failure is None and target.failure is not None:
                await outbox.due_now(target.id)
            await targets.note(target.id, failure)
            audit.append("notifier.test", name, tenant_id=target.tenant_id)
        return Tested(seconds=seconds, failure=failure)

    def shown(self, target: TargetRecord) -> dict[str, Any]:
        """Give a target's settings for people: secrets masked. Without its notifier, by the shape of references."""
        notifier = self._offers.find_notifier(target.kind)
        masked: Any = (
            config.masked_by_shape(target.settings)
            if notifier is None
            else schema.mask(config.published(notifier.target_type), target.settings)
        )
        return masked if isinstance(masked, dict) else {}

    async def _made(
        self, owner: TenantRecord | None, asked: Asked, accepted: Accepted, written: list[SecretRef]
    ) -> tuple[TargetRecord, bool]:
        there = await targets.find(asked.name, owner.slug if owner else None)
        if there is not None:
            return await self._same(there, asked, accepted), False
        if owner and await targets.count(owner.id) >= MOST_OF_A_TENANT:
            raise ConflictError("TooManyTargets", tenant=owner.slug, maximum=MOST_OF_A_TENANT)
        target_id, tenant_id = targets.new_id(), owner.id if owner else None
        refs = await self._vault.put(tenant_id or "", owner_of(target_id), accepted.secrets)
        written += refs.values()
        made = await targets.create(
            target_id=target_id,
            tenant_id=tenant_id,
            tenant=owner.slug if owner else "",
            name=asked.name,
            kind=asked.kind,
            settings=schema.put_refs(accepted.value, refs),
            min_severity=asked.min_severity,
            reasons=asked.reasons,
        )
        note(made, "TargetCreated", "notifier.add")
        return made, True

    async def _same(self, there: TargetRecord, asked: Asked, accepted: Accepted) -> TargetRecord:
        differences = [
            name
            for name, one, other in (
                ("kind", there.kind, asked.kind),
                ("min_severity", there.min_severity, asked.min_severity),
                ("reasons", sorted(there.reasons), sorted(asked.reasons)),
            )
            if one != other
        ]
        if there.kind == asked.kind:
            refs = {path: SecretRef(key=path) for path in accepted.secrets}
            given = config.masked_by_shape(schema.put_refs(accepted.value, refs))
            differences += config.differences(config.masked_by_shape(there.settings), given)
            differing = await self._vault.differing(there.tenant_id or "", accepted.secrets, there.settings)
            differences += [f"config.{path}" for path in differing]
        if differences:
            raise ConflictError("TargetExists", target=there.name, differences=differences)
        return there


def failure_of(error: AgentPodError) -> Failure:
    """Give what is kept of an error; of a wrong target, what is wrong with it."""
    if isinstance(error, ConfigError):
        told = "; ".join(f"{one.path}: {one.message}" for one in error.problems)
        return Failure(reason="WrongTarget", params={"problems": told})
    return Failure(reason=error.reason, params=error.params)


async def look_at(notifier: Notifier[Any], accepted: Accepted, kept: Mapping[SecretRef, str]) -> None:
    """Let the notifier look at a target before anything of it is stored; ``kept`` are secrets that are there."""
    refs = {path: SecretRef(key=path) for path in accepted.secrets}
    target = schema.build(notifier.target_type, schema.put_refs(accepted.value, refs))
    given = {refs[path]: text for path, text in accepted.secrets.items()}
    try:
        await notifier.check(target, {**kept, **given})
    except ConfigError as error:
        _refuse(config.below(error.problems))


def _problems(asked: Asked) -> list[Problem]:
    return [one for one in (slug_problem(asked.name, "$.name"),) if one] + reason_problems(asked.reasons)


def reason_problems(reasons: Collection[str]) -> list[Problem]:
    """Say what is wrong with the reasons that a target is to hear of."""
    return [] if REASONS.issuperset(reasons) else [problem("$.reasons", "NotAChoice", choices=sorted(REASONS))]


def unknown_kind(offers: Offers, kind: str) -> Problem:
    """Say that there is no such notifier, and which there are."""
    return problem("$.kind", "UnknownNotifier", name=kind[:80], known=offers.notifier_names())


def owner_of(target_id: str) -> str:
    """Give what the keys of a target's secrets begin with."""
    return f"notifier/{target_id}"


def _refuse(problems: list[Problem]) -> NoReturn:
    raise ConfigError(problems)


def note(target: TargetRecord, reason: str, action: str) -> None:
    """Write down that somebody changed whom alerts are told."""
    happening = Happening(kind="alert", reason=reason, params={"target": target.name, "kind": target.kind})
    events.append(happening, tenant_id=target.tenant_id, tenant=target.tenant)
    audit.append(action, target.name, tenant_id=target.tenant_id)
