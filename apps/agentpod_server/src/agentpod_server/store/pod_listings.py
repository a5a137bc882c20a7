"""Lists and counts pods, across tenants as far as the scope sees. Needs an open transaction."""

from __future__ import annotations

from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase
from agentpod_server.records import Page, PodRecord
from agentpod_server.store import rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.transactions import demanded


async def listing(  # noqa: PLR0913 - as many as there are filters
    *,
    tenant: str | None = None,
    phase: Phase | None = None,
    adapter: str | None = None,
    wanted: Wanted | None = None,
    search: str = "",
    after: tuple[str, ...] | None = None,
    limit: int = 50,
) -> Page[PodRecord]:
    """List pods by tenant and name; ``search`` looks into both and the subdomain."""
    transaction = demanded()
    where = Conditions()
    if transaction.scope.tenant_id:
        # Row-level security says the same, but its "or" keeps the planner from the index.
        where.add("p.tenant_id = ?", transaction.scope.tenant_id)
    if tenant is not None:
        where.add("p.tenant = ?", tenant)
    if phase is not None:
        where.add("exists (select 1 from pod_status s where s.pod_id = p.id and s.phase = ?)", phase.value)
    if adapter is not None:
        where.add("p.adapter = ?", adapter)
    if wanted is not None:
        where.add("p.wanted = ?", wanted.value)
    if search:
        where.add("(p.tenant || '/' || p.name || ' ' || p.subdomain) ilike ?", rows.pattern(search))
    if after is not None:
        where.add("(p.tenant, p.name) > (?, ?)", after[0], after[1])
    size = where.number(rows.page_size(limit) + 1)
    selection = f"select p.* from pods p {where.sql} order by p.tenant, p.name limit {size}"
    found = await transaction.fetch(f"{rows.pods_among(selection)} order by p.tenant, p.name", *where.args)
    return rows.page([rows.pod(row) for row in found], limit, lambda one: (one.tenant, one.name))


async def count_by_phase(*, tenant: str | None = None) -> dict[Phase, int]:
    """Count pods by phase; phases without pods are left out."""
    found = await demanded().fetch(
        "select s.phase, count(*) as pods from pod_status s join pods p on p.id = s.pod_id"
        " where $1::text is null or p.tenant = $1 group by s.phase",
        tenant,
    )
    return {Phase(row["phase"]): row["pods"] for row in found}


async def offers_in_use() -> list[tuple[str, str]]:
    """List what pods need of plugins, by kind and name: their adapters, and the probes of their workloads."""
    found = await demanded().fetch(
        "select 'agent' as kind, adapter as name from pods union"
        " select 'probe', w.workload->'probe'->>'probe' from pods p"
        " join pod_workloads w on w.pod_id = p.id and w.generation = p.generation"
        " where w.workload->'probe'->>'probe' is not null"
    )
    return [(row["kind"], row["name"]) for row in found]
