"""Changes targets where they stand: what they are still to be told stays, and so does what they were told.

How a change is checked is the same as for a target to be. When what waits is sent is decided by the outbox.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import UNSET, Struct, UnsetType

from agentpod_core import ConfigError, ConflictError, Severity, schema
from agentpod_core.schema import Accepted
from agentpod_server.alert_records import TargetRecord, ToldRecord
from agentpod_server.records import Scope
from agentpod_server.services import config
from agentpod_server.services.alerts.targets import look_at, note, owner_of, reason_problems, unknown_kind
from agentpod_server.services.alerts.turns import Turns
from agentpod_server.services.config import Given
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.offers import Offers
from agentpod_server.services.vault import Vault
from agentpod_server.store import outbox, targets
from agentpod_server.store.database import Database


class Change(Struct, frozen=True, kw_only=True):
    """What is UNSET stays, None goes back to the default."""

    given: Given | UnsetType = UNSET
    min_severity: Severity | UnsetType | None = UNSET
    reasons: tuple[str, ...] | UnsetType | None = UNSET
    is_paused: bool | UnsetType = UNSET


class TargetChanges:
    """The use cases around a target that is there: changing it, and reading what it was told."""

    def __init__(self, database: Database, cursors: Cursors, offers: Offers, vault: Vault, turns: Turns) -> None:
        self._database = database
        self._cursors = cursors
        self._offers = offers
        self._vault = vault
        self._turns = turns

    async def told(
        self, scope: Scope, name: str, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[ToldRecord], str | None]:
        """List what a target was told and is still to be told, newest first, with the cursor of the next part.

        Raises:
            NotFoundError: ``TargetNotFound``.
        """
        filters = {"name": name, "tenant": tenant}
        after = self._cursors.read(scope, "told", filters, cursor) if cursor else None
        async with self._database.transaction(scope):
            target = await targets.get(name, tenant)
            page = await targets.told(target.id, after=after, limit=limit)
        following = self._cursors.write(scope, "told", filters, page.next) if page.next else None
        return list(page.items), following

    async def change(
        self, scope: Scope, name: str, *, tenant: str | None = None, expected: Collection[int] | None, change: Change
    ) -> TargetRecord:
        """Change a target, if it is of one of the ``expected`` generations; None is any.

        What waits for it is tried at once, as far as it is still to hear of it. Nothing new makes no new generation.

        Raises:
            NotFoundError: ``TargetNotFound``.
            ConfigError: all that is wrong with it.
            ConflictError: ``GenerationMismatch``.
            TemporaryError: the notifier could not look at it; ``NotifierBusy``.
            PermanentError: a secret that stays cannot be read (``SecretUnreadable``).
        """
        async with self._database.transaction(scope):
            before = await targets.get(name, tenant)
        if expected is not None and before.generation not in expected:
            raise ConflictError("GenerationMismatch", expected=sorted(expected), actual=before.generation)
        reasons = before.reasons if change.reasons is UNSET else change.reasons or ()
        problems, accepted = reason_problems(reasons), None
        if change.given is not UNSET:
            notifier = self._offers.find_notifier(before.kind)
            if notifier is None:
                raise ConfigError([*problems, unknown_kind(self._offers, before.kind)])
            accepted = config.check(notifier.target_type, change.given, before.settings)
            if not (problems or accepted.problems):
                # Only what stays is read: a secret that cannot be read any more can be replaced.
                kept = await self._vault.material(before.tenant_id or "", accepted.value)
                async with self._turns.asked(before.tenant_id):
                    await look_at(notifier, accepted, kept)
            problems += accepted.problems
        if problems:
            raise ConfigError(problems)
        async with self._database.transaction(scope):
            return await self._changed(before, change, reasons, accepted)

    async def _changed(
        self, before: TargetRecord, change: Change, reasons: tuple[str, ...], accepted: Accepted | None
    ) -> TargetRecord:
        tenant_id, settings = before.tenant_id or "", before.settings
        if accepted is not None:
            refs = await self._vault.put(tenant_id, owner_of(before.id), accepted.secrets, settings)
            settings = schema.put_refs(accepted.value, refs)
        severity = before.min_severity if change.min_severity is UNSET else change.min_severity or Severity.WARNING
        is_paused = before.is_paused if change.is_paused is UNSET else change.is_paused
        wanted = (settings, severity, reasons, is_paused)
        if wanted == (before.settings, before.min_severity, before.reasons, before.is_paused):
            return before
        after = await targets.change(
            before.id,
            expected=before.generation,
            settings=settings,
            min_severity=severity,
            reasons=reasons,
            is_paused=is_paused,
        )
        await outbox.due_now(after.id)
        await self._vault.drop_unused(tenant_id, before.settings, settings)
        note(after, "TargetChanged", "notifier.set")
        return after
