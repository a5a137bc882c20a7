"""The engine's side of the store: implements ``agentpod_core.ports.Store`` on PostgreSQL.

Every call is a transaction of its own that sees all tenants. What the leader writes is fenced by its
epoch in that same transaction.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

from asyncpg import Record as Row
from msgspec import Struct

from agentpod_core.errors import PermanentError
from agentpod_core.plugpoints.secrets import SecretStore
from agentpod_core.ports import PodInput, RouteInput, Sample, TenantInput
from agentpod_core.values.alerts import AlertChange, Raise
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import Port, RouteSpec, SecretRef, Workload
from agentpod_server.availability import State, state_of
from agentpod_server.records import Scope
from agentpod_server.store import alerts as alerted
from agentpod_server.store import availability, events, history, leadership, rows, secrets, silences
from agentpod_server.store.database import Database
from agentpod_server.store.ids import known
from agentpod_server.store.listen import CHANNELS, Listener

_ENGINE = Scope(actor="controller")

_WAYS_IN = """
    select p.id, p.subdomain, p.address, p.wanted, t.wanted as tenant_wanted,
           jsonb_strip_nulls(jsonb_build_object('ports', w.workload -> 'ports', 'route', w.workload -> 'route')) as way
    from pods p
    join tenants t on t.id = p.tenant_id
    join pod_workloads w on w.pod_id = p.id and w.generation = p.generation
    order by p.id
"""

_TENANTS = """
    select t.id, t.slug, t.wanted, l.number, l.subnet, l.gateway,
           array(select p.id::text from pods p where p.tenant_id = t.id order by p.id) as pods
    from tenants t join address_leases l on l.tenant_id = t.id and l.node = 'local'
"""


class _Way(Struct, frozen=True):
    """The part of a workload that routes are made of."""

    ports: tuple[Port, ...] = ()
    route: RouteSpec | None = None


Hosts = Callable[[str], tuple[str, ...]]
"""Turns a subdomain into the full public host names of its pod."""


class PostgresStore:
    """The store of the engine. ``secret_stores`` are those that a reference may name.

    ``happened`` is told what happened to pods, once that is written.
    """

    def __init__(
        self,
        database: Database,
        *,
        listener: Listener,
        hosts: Hosts,
        secret_stores: Mapping[str, SecretStore],
        happened: Callable[[Sequence[Happening]], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._listener = listener
        self._hosts = hosts
        self._secret_stores = secret_stores
        self._happened = happened

    async def pods(self) -> list[PodInput]:
        """Give every pod that is not gone."""
        async with self._database.transaction(_ENGINE) as transaction:
            found = await transaction.fetch(f"{rows.POD_WITH_ENGINE_PART} order by p.id")
        return [self._pod(row) for row in found]

    async def ways_in(self) -> list[RouteInput]:
        """Give what routes are made of, for every pod that is not gone."""
        async with self._database.transaction(_ENGINE) as transaction:
            found = await transaction.fetch(_WAYS_IN)
        return [self._way_in(row) for row in found]

    async def pod(self, pod_id: str) -> PodInput | None:
        """Give one pod; None when it is gone."""
        async with self._database.transaction(_ENGINE) as transaction:
            row = await transaction.row(f"{rows.POD_WITH_ENGINE_PART} where p.id = $1", known(pod_id))
        return None if row is None else self._pod(row)

    async def tenants(self) -> list[TenantInput]:
        """Give every tenant that is not gone."""
        async with self._database.transaction(_ENGINE) as transaction:
            found = await transaction.fetch(f"{_TENANTS} order by t.id")
        return [_tenant(row) for row in found]

    async def tenant(self, tenant_id: str) -> TenantInput | None:
        """Give one tenant; None when it is gone."""
        async with self._database.transaction(_ENGINE) as transaction:
            row = await transaction.row(f"{_TENANTS} where t.id = $1", known(tenant_id))
        return None if row is None else _tenant(row)

    async def save(  # noqa: PLR0913 - what one pass concludes
        self,
        epoch: int,
        pod_id: str,
        *,
        status: PodStatus,
        record: Record,
        happenings: Sequence[Happening] = (),
        alerts: Sequence[AlertChange] = (),
    ) -> None:
        """Write what was concluded, record, events and alerts in one transaction; nothing for a pod that is gone."""
        async with self._database.transaction(_ENGINE) as transaction:
            await leadership.demand(epoch)
            row = await transaction.row(
                "update pod_status s set phase = $2, ready = $3, observed_generation = $4, status = $5, record = $6,"
                " updated_at = now() from pods p where s.pod_id = $1 and p.id = s.pod_id"
                " returning p.id, p.tenant_id, p.tenant, p.name, p.generation",
                known(pod_id),
                status.phase.value,
                status.ready,
                status.observed_generation,
                rows.text(status),
                rows.text(record),
            )
            if row is not None:
                await _note(row, state_of(status, record))
                _append(row, happenings)
                await alerted.change(
                    alerts,
                    tenant_id=str(row["tenant_id"]),
                    tenant=row["tenant"],
                    pod_id=str(row["id"]),
                    pod=row["name"],
                )
        self._happened(happenings)

    async def forget_pod(self, epoch: int, pod_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted pod: row, address, secrets, history of specs. A second time is fine."""
        async with self._database.transaction(_ENGINE) as transaction:
            await leadership.demand(epoch)
            row = await transaction.row(
                "select id, tenant_id, tenant, name, generation, wanted from pods where id = $1 for update",
                known(pod_id),
            )
            if row is None:
                return
            _demand_deleted(row)
            await _note(row, State.NOT_WANTED)
            await secrets.delete_of_pod(pod_id)
            await alerted.end_of_pod(pod_id)
            await silences.forget(row["tenant"], row["name"])
            await transaction.execute("delete from pods where id = $1", row["id"])
            _append(row, happenings)

    async def forget_tenant(self, epoch: int, tenant_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted tenant: row, lease, secrets, users. A second time is fine."""
        async with self._database.transaction(_ENGINE) as transaction:
            await leadership.demand(epoch)
            row = await transaction.row(
                "select id, slug, generation, wanted from tenants where id = $1 for update", known(tenant_id)
            )
            if row is None:
                return
            _demand_deleted(row)
            await silences.forget(row["slug"])
            await transaction.execute("delete from tenants where id = $1", row["id"])
            events.append(*happenings, tenant_id=tenant_id, tenant=row["slug"], generation=row["generation"])

    async def report(
        self, happenings: Sequence[Happening], alerts: Sequence[AlertChange] = (), epoch: int | None = None
    ) -> None:
        """Write events and alerts that belong to no tenant, in one transaction; with an epoch, as that leader."""
        async with self._database.transaction(_ENGINE):
            if epoch is not None:
                await leadership.demand(epoch)
            events.append(*happenings)
            await alerted.change(alerts)

    async def platform_alerts(self) -> list[Raise]:
        """Give the alerts that are open and belong to no tenant."""
        async with self._database.transaction(_ENGINE):
            return await alerted.platform()

    async def sampled(self, samples: Sequence[Sample]) -> None:
        """Add to the history of pods."""
        async with self._database.transaction(_ENGINE):
            await history.add(samples)

    async def changes(self) -> AsyncGenerator[str, None]:
        """Follow what the rest of the platform changed, as queue keys, for ever; RESYNC after every gap."""
        async with aclosing(self._listener.follow("changes")) as keys:
            async for key in keys:
                yield key

    async def tell(self, *keys: str) -> None:
        """Let whoever follows the changes look at those keys, as if something of theirs had changed."""
        async with self._database.transaction(_ENGINE) as transaction:
            channel = CHANNELS["changes"]
            await transaction.execute("select pg_notify($1, key) from unnest($2::text[]) key", channel, list(keys))

    async def lead(self, holder: str, seconds: float) -> int | None:
        """Take or renew the lease; None while somebody else leads."""
        async with self._database.transaction(_ENGINE):
            return await leadership.take(holder, seconds)

    async def step_down(self, holder: str) -> None:
        """Give the lease up at once, if it is held."""
        async with self._database.transaction(_ENGINE):
            await leadership.give_up(holder)

    async def secret(self, tenant_id: str, ref: SecretRef) -> str:
        """Give a secret's value from the store that its reference names.

        Raises:
            NotFoundError: ``SecretNotFound``.
            PermanentError: ``UnknownSecretStore``; ``SecretUnreadable``.
        """
        store = self._secret_stores.get(ref.store)
        if store is None:
            raise PermanentError("UnknownSecretStore", name=ref.store, known=sorted(self._secret_stores))
        return await store.get(tenant_id, ref)

    def _way_in(self, row: Row) -> RouteInput:
        way = rows.value(row["way"], _Way)
        return RouteInput(
            id=str(row["id"]),
            address=row["address"],
            hosts=self._hosts(row["subdomain"]),
            ports=way.ports,
            route=way.route,
            wanted=Wanted(row["wanted"]),
            tenant_wanted=Wanted(row["tenant_wanted"]),
        )

    def _pod(self, row: Row) -> PodInput:
        spec = rows.value(row["spec"], PodSpec)
        return PodInput(
            id=str(row["id"]),
            name=row["name"],
            tenant_id=str(row["tenant_id"]),
            tenant=row["tenant"],
            generation=row["generation"],
            spec=spec,
            workload=rows.value(row["workload"], Workload),
            lease=rows.lease(row),
            address=row["address"],
            hosts=self._hosts(row["subdomain"]),
            secrets=rows.value(row["secrets"], dict[str, SecretRef]),
            credential=row["credential"],
            status=rows.value(row["status"], PodStatus),
            record=rows.value(row["record"], Record),
            tenant_wanted=Wanted(row["tenant_wanted"]),
        )


def _tenant(row: Row) -> TenantInput:
    return TenantInput(
        id=str(row["id"]),
        slug=row["slug"],
        lease=rows.lease(row),
        wanted=Wanted(row["wanted"]),
        pods=tuple(row["pods"]),
    )


async def _note(row: Row, state: State) -> None:
    """Write down what a pod is from now on, if that is news."""
    await availability.note(
        str(row["id"]), pod=row["name"], tenant_id=str(row["tenant_id"]), tenant=row["tenant"], state=state
    )


def _append(row: Row, happenings: Sequence[Happening]) -> None:
    """Write events of a pod, as it was when the row was read."""
    events.append(
        *happenings,
        tenant_id=str(row["tenant_id"]),
        tenant=row["tenant"],
        pod_id=str(row["id"]),
        pod=row["name"],
        generation=row["generation"],
    )


def _demand_deleted(row: Row) -> None:
    if row["wanted"] != Wanted.DELETED.value:
        msg = "only what is wanted deleted may be forgotten"
        raise RuntimeError(msg)
