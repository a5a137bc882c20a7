"""Customers: making, changing, stopping and deleting them, with everything that is theirs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection

from msgspec import UNSET, Struct, UnsetType

from agentpod_core import ConfigError, ConflictError, Problem
from agentpod_core.values.names import slug_problem
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening
from agentpod_server.records import Page, PodRecord, Scope, TenantRecord
from agentpod_server.services.cursors import Cursors
from agentpod_server.store import alerts, audit, events, pod_listings, tenants
from agentpod_server.store.database import Database

_LONGEST_NAME = 200
_LONGEST_EMAIL = 254
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
_PAGE = 500


class TenantStatus(Struct, frozen=True, kw_only=True):
    """A tenant with all of its pods, counted by phase."""

    tenant: TenantRecord
    pods: list[PodRecord]
    phases: dict[str, int]
    open_alerts: int = 0

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(pod.status.ready for pod in self.pods)


class Tenants:
    """The use cases around tenants. ``avoid`` names the subnets that the host uses for something else."""

    def __init__(
        self,
        database: Database,
        cursors: Cursors,
        *,
        address_range: str,
        avoid: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._database = database
        self._cursors = cursors
        self._address_range = address_range
        self._avoid = avoid

    async def create(
        self, scope: Scope, *, slug: str, name: str | None = None, email: str = ""
    ) -> tuple[TenantRecord, bool]:
        """Make a tenant; asked the same again, give the one that exists. The flag says whether it is new.

        Raises:
            ConfigError: name, title or address are no good; all that is wrong.
            ConflictError: ``TenantExists`` with other content, ``TenantDeleting``, ``AddressesExhausted``.
        """
        title = name or slug
        problems = [problem for problem in (slug_problem(slug, "$.slug"),) if problem]
        _refuse(problems + _problems(title, email))
        try:
            async with self._database.transaction(scope):
                made = await tenants.create(
                    slug=slug, name=title, email=email, address_range=self._address_range, avoid=self._avoid()
                )
                _note(made, "TenantCreated", "tenant.create")
                return made, True
        except ConflictError as error:
            if error.reason != "TenantExists":
                raise
            existing = await self.get(scope, slug)
            wanted, there = {"name": title, "email": email}, {"name": existing.name, "email": existing.email}
            if differences := [field for field in wanted if wanted[field] != there[field]]:
                raise ConflictError("TenantExists", tenant=slug, differences=differences) from None
            return existing, False

    async def get(self, scope: Scope, slug: str) -> TenantRecord:
        """Give one tenant, or NotFoundError."""
        async with self._database.transaction(scope):
            return await tenants.get(slug)

    async def listing(
        self, scope: Scope, *, search: str = "", cursor: str | None = None, limit: int = 50
    ) -> tuple[list[TenantRecord], str | None]:
        """List tenants by name, with the cursor of the next part."""
        filters = {"search": search}
        after = self._cursors.read(scope, "tenants", filters, cursor) if cursor else None
        async with self._database.transaction(scope):
            page: Page[TenantRecord] = await tenants.listing(search=search, after=after, limit=limit)
        following = self._cursors.write(scope, "tenants", filters, page.next) if page.next else None
        return list(page.items), following

    async def update(
        self,
        scope: Scope,
        slug: str,
        *,
        expected: Collection[int] | None,
        name: str | UnsetType | None = UNSET,
        email: str | UnsetType | None = UNSET,
    ) -> TenantRecord:
        """Change what is not UNSET, if it is of one of the ``expected`` generations (None is any).

        A value None goes back to the default.

        Raises:
            ConflictError: ``GenerationMismatch``: somebody else changed it since ``expected``.
        """
        async with self._database.transaction(scope):
            before = await tenants.get(slug)
            title = before.name if name is UNSET else name or slug
            address = before.email if email is UNSET else email or ""
            _refuse(_problems(title, address))
            if expected is not None and before.generation not in expected:
                raise ConflictError("GenerationMismatch", expected=sorted(expected), actual=before.generation)
            at = None if expected is None else before.generation
            after = await tenants.change(slug, expected=at, name=title, email=address)
            if after.generation != before.generation:
                _note(after, "TenantChanged", "tenant.update")
            return after

    async def set_wanted(self, scope: Scope, slug: str, wanted: Wanted) -> TenantRecord:
        """Start or stop all pods of a tenant that want to run.

        Raises:
            ConflictError: it is being deleted (``TenantDeleting``).
        """
        async with self._database.transaction(scope):
            before = await tenants.get(slug)
            if before.wanted is Wanted.DELETED:
                raise ConflictError("TenantDeleting", tenant=slug)
            after = await tenants.change(slug, expected=None, wanted=wanted)
            if after.wanted is not before.wanted:
                stopped = wanted is Wanted.STOPPED
                _note(
                    after,
                    "TenantStopAsked" if stopped else "TenantStartAsked",
                    "tenant.stop" if stopped else "tenant.start",
                )
            return after

    async def delete(self, scope: Scope, slug: str, *, cascade: bool = False, keep_data: bool = False) -> TenantRecord:
        """Ask for a tenant's end; it is gone once nothing of it is left on the engine.

        Raises:
            ConflictError: ``TenantHasPods`` without ``cascade``.
        """
        async with self._database.transaction(scope):
            before = await tenants.get(slug)
            after = await tenants.mark_deleted(slug, cascade=cascade, keep_data=keep_data)
            if before.wanted is not Wanted.DELETED:
                _note(after, "TenantDeleteAsked", "tenant.delete")
            return after

    async def status(self, scope: Scope, slug: str) -> TenantStatus:
        """Say how a tenant's pods are."""
        found: list[PodRecord] = []
        async with self._database.transaction(scope):
            tenant = await tenants.get(slug)
            after: tuple[str, ...] | None = None
            while True:
                page = await pod_listings.listing(tenant=slug, after=after, limit=_PAGE)
                found.extend(page.items)
                after = page.next
                if after is None:
                    break
            open_alerts = await alerts.count_open(tenant.id)
        phases = Counter(pod.status.phase.value for pod in found)
        return TenantStatus(tenant=tenant, pods=found, phases=dict(sorted(phases.items())), open_alerts=open_alerts)


def _problems(title: str, email: str) -> list[Problem]:
    problems = []
    if len(title) > _LONGEST_NAME or not title.isprintable():
        problems.append(
            Problem(
                path="$.name",
                reason="InvalidTitle",
                params={"longest": _LONGEST_NAME},
                message=f"must be at most {_LONGEST_NAME} printable characters",
            )
        )
    if email and (len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email)):
        problems.append(Problem(path="$.email", reason="InvalidEmail", message="must look like name@example.org"))
    return problems


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError(problems, reason="InvalidRequest")


def _note(tenant: TenantRecord, reason: str, action: str) -> None:
    events.append_for(tenant, Happening(kind="tenant", reason=reason, params={"tenant": tenant.slug}))
    audit.append(action, tenant.slug, tenant_id=tenant.id)
