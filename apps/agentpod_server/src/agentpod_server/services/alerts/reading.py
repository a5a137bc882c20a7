"""Reads alerts, and keeps people from being told for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from agentpod_core import Clock, ConfigError, Problem, Severity, catalogue
from agentpod_core.values.alerts import REASONS
from agentpod_core.values.status import Happening
from agentpod_server.alert_records import AlertRecord, SilenceRecord
from agentpod_server.records import Scope
from agentpod_server.services.cursors import Cursors
from agentpod_server.store import alerts, audit, events, pods, silences, tenants
from agentpod_server.store.database import Database

LONGEST_SILENCE = timedelta(days=366)
_LONGEST_COMMENT = 400


class Alerts:
    """The use cases around alerts and silences."""

    def __init__(self, database: Database, cursors: Cursors, clock: Clock) -> None:
        self._database = database
        self._cursors = cursors
        self._clock = clock

    async def get(self, scope: Scope, alert_id: str) -> AlertRecord:
        """Give one alert, or NotFoundError."""
        async with self._database.transaction(scope):
            return await alerts.get(alert_id)

    async def listing(  # noqa: PLR0913 - the filters of a listing
        self,
        scope: Scope,
        *,
        is_open: bool | None = None,
        severity: Severity | None = None,
        tenant: str | None = None,
        pod: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[AlertRecord], str | None]:
        """List alerts, newest first, with the cursor of the next part."""
        filters = {"is_open": is_open, "severity": severity, "tenant": tenant, "pod": pod}
        after = self._cursors.read(scope, "alerts", filters, cursor) if cursor else None
        async with self._database.transaction(scope):
            page = await alerts.listing(
                is_open=is_open, severity=severity, tenant=tenant, pod=pod, after=after, limit=limit
            )
        following = self._cursors.write(scope, "alerts", filters, page.next) if page.next else None
        return list(page.items), following

    async def silences(
        self, scope: Scope, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[SilenceRecord], str | None]:
        """List the silences that hold, newest first."""
        after = self._cursors.read(scope, "silences", {}, cursor) if cursor else None
        async with self._database.transaction(scope):
            page = await silences.listing(after=after, limit=limit)
        following = self._cursors.write(scope, "silences", {}, page.next) if page.next else None
        return list(page.items), following

    async def silence(  # noqa: PLR0913 - what a silence is about
        self,
        scope: Scope,
        *,
        ends_at: datetime,
        tenant: str | None = None,
        pod: str | None = None,
        reason: str | None = None,
        comment: str = "",
    ) -> SilenceRecord:
        """Keep people from being told of a tenant, a pod or a reason. A tenant's own is for its own targets.

        Raises:
            ConfigError: it says nothing of what it is about, a reason that there is not, or a time that makes no sense.
            NotFoundError: there is no such tenant or pod.
        """
        _refuse(self._problems(scope, ends_at, tenant, pod, reason, comment))
        async with self._database.transaction(scope):
            owner = await tenants.by_id(scope.tenant_id) if scope.tenant_id else None
            about = await tenants.get(tenant) if tenant else owner
            subject = await pods.get(about.slug, pod) if about and pod else about
            made = await silences.create(
                tenant_id=owner.id if owner else None,
                tenant=about.slug if about else "",
                pod=pod or "",
                reason=reason or "",
                comment=comment,
                ends_at=ends_at,
            )
            happening = _happening("AlertsSilenced", made)
            if subject:
                events.append_for(subject, happening)
            else:
                events.append(happening)
            audit.append("silence.create", made.id, tenant_id=about.id if about else None)
            return made

    async def end_silence(self, scope: Scope, silence_id: str) -> None:
        """End a silence; what is still wrong is told at once.

        Raises:
            NotFoundError: ``SilenceNotFound``.
        """
        async with self._database.transaction(scope):
            ended = await silences.end(silence_id)
            about = await tenants.find(ended.tenant) if ended.tenant else None
            tenant_id = about.id if about else None
            events.append(_happening("SilenceEnded", ended), tenant_id=tenant_id, tenant=ended.tenant)
            audit.append("silence.end", ended.id, tenant_id=tenant_id)

    def _problems(  # noqa: PLR0913 - the fields of a silence
        self, scope: Scope, ends_at: datetime, tenant: str | None, pod: str | None, reason: str | None, comment: str
    ) -> list[Problem]:
        found = []
        if not (tenant or pod or reason or scope.tenant_id):
            found.append(problem("$", "SilenceOfNothing"))
        if pod and not (tenant or scope.tenant_id):
            found.append(problem("$.tenant", "TenantNeeded"))
        if reason and reason not in REASONS:
            found.append(problem("$.reason", "NotAChoice", choices=sorted(REASONS)))
        if not self._clock.now() < ends_at <= self._clock.now() + LONGEST_SILENCE:
            found.append(problem("$.ends_at", "BadSilenceEnd", days=LONGEST_SILENCE.days))
        if len(comment) > _LONGEST_COMMENT:
            found.append(problem("$.comment", "TooLong", maximum=_LONGEST_COMMENT))
        return found


def problem(path: str, reason: str, **params: object) -> Problem:
    """Say what is wrong with a part of a request."""
    return Problem(path=path, reason=reason, params=params, message=catalogue.text(reason, params))


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError(problems, reason="InvalidRequest")


def _happening(reason: str, silence: SilenceRecord) -> Happening:
    about = "/".join(part for part in (silence.tenant, silence.pod) if part)
    params = {"silence": silence.id, "about": " ".join(part for part in (about, silence.reason) if part)}
    return Happening(kind="alert", reason=reason, params=params | {"until": silence.ends_at.isoformat()})
