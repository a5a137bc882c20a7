"""The generations of a pod: an immutable row of spec and one of the workload it was rendered to."""

from __future__ import annotations

from collections.abc import Sequence

from agentpod_core.values.pods import PodSpec
from agentpod_core.values.status import Record
from agentpod_core.values.workload import Probe, SecretRef, Workload
from agentpod_server.records import ConfigRecord, EnginePart
from agentpod_server.store import rows
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded


async def add(  # noqa: PLR0913 - a generation has that many parts
    pod_id: str,
    tenant_id: str,
    generation: int,
    *,
    spec: PodSpec,
    workload: Workload | None,
    secrets: dict[str, SecretRef],
    credential: str | None,
) -> None:
    """Write a generation; without a workload it keeps the one of the generation before."""
    transaction = demanded()
    await transaction.execute(
        "insert into pod_configs (id, pod_id, tenant_id, generation, adapter, config_version, spec, created_at,"
        " created_by) values ($1, $2, $3, $4, $5, $6, $7, now(), $8)",
        uuid7(),
        pod_id,
        tenant_id,
        generation,
        spec.adapter,
        spec.config_version,
        rows.text(spec),
        transaction.scope.actor,
    )
    await transaction.execute(
        "insert into pod_workloads (id, pod_id, tenant_id, generation, workload, secrets, credential, created_at)"
        " values ($1, $2, $3, $4, coalesce($5::jsonb, (select workload from pod_workloads"
        " where pod_id = $2 and generation = $4 - 1)), $6, $7, now())",
        uuid7(),
        pod_id,
        tenant_id,
        generation,
        None if workload is None else rows.text(workload),
        rows.text(secrets),
        credential,
    )


async def engine_part(pod_id: str) -> EnginePart | None:
    """Give the newest workload and the record of a pod; None when it is gone."""
    row = await demanded().row(
        "select w.workload, s.record from pods p"
        " join pod_workloads w on w.pod_id = p.id and w.generation = p.generation"
        " join pod_status s on s.pod_id = p.id where p.id = $1",
        known(pod_id),
    )
    if row is None:
        return None
    return EnginePart(workload=rows.value(row["workload"], Workload), record=rows.value(row["record"], Record))


async def probes(pod_ids: Sequence[str]) -> dict[str, Probe]:
    """Give how each of these pods is asked by its newest workload; those without a probe are left out."""
    found = await demanded().fetch(
        "select p.id, w.workload -> 'probe' as probe from pods p"
        " join pod_workloads w on w.pod_id = p.id and w.generation = p.generation"
        " where p.id = any($1::uuid[]) and jsonb_typeof(w.workload -> 'probe') = 'object'",
        [known(pod_id) for pod_id in pod_ids],
    )
    return {str(row["id"]): rows.value(row["probe"], Probe) for row in found}


async def configs(pod_id: str, *, before: int | None = None, limit: int = 20) -> list[ConfigRecord]:
    """List a pod's generations, newest first, from below ``before``."""
    found = await demanded().fetch(
        "select generation, spec, created_at, created_by from pod_configs"
        " where pod_id = $1 and ($2::int is null or generation < $2) order by generation desc limit $3",
        known(pod_id),
        before,
        rows.page_size(limit),
    )
    return [
        ConfigRecord(
            pod_id=pod_id,
            generation=row["generation"],
            spec=rows.value(row["spec"], PodSpec),
            created_at=row["created_at"],
            created_by=row["created_by"],
        )
        for row in found
    ]
