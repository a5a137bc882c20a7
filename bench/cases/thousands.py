"""What memory a server takes that looks after 5,000 simulated pods.

A whole server with its own PostgreSQL; engine, router and agents are memory in the server itself, and count. Tenants
and one pod of each are made by the API; the others are copies of those in the database, and the server makes their
containers. Proportional set size; megabytes are 10^6 bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness import Case, Row, at_most, figure
from stage import Stage, processes
from stage.inside import Inside
from stage.plugins.simulated import NAME
from stage.waiting import until

TITLE = "memory of the server, simulated pods"
PODS = 5_000
QUICK = 100
OF_TENANT = 50
SETTLED = 45.0
LOOKS = 5
PATIENCE = 600.0

_CHOOSE = """
create temporary table chosen on commit drop as
select p.id as old, gen_random_uuid() as id, 'p' || n as name, p.subdomain || '-' || n as subdomain,
       host(p.address::inet + n) as address
from pods p cross join generate_series(1, {times}) n
"""
_COPY = """
insert into {table}
select (jsonb_populate_record(null::{table}, to_jsonb(t) || {changes})).*
from {table} t join chosen c on c.old = t.{key}
"""
_READY = "select count(*) from pod_status where ready"
_POD = "jsonb_build_object('id', c.id, 'name', c.name, 'subdomain', c.subdomain, 'address', c.address)"
# A table takes from this what it has columns for.
_PART = """jsonb_build_object('id', gen_random_uuid(), 'pod_id', c.id, 'phase', 'pending', 'ready', false,
    'observed_generation', 0, 'status', '{}'::jsonb, 'record', '{}'::jsonb)"""
_PARTS = ("pod_configs", "pod_workloads", "pod_status")


def run(stage: Stage) -> Sequence[Row]:
    """Fill a server, let it come to rest, and look."""
    count = QUICK if stage.is_quick else PODS
    # Pages that two servers share count half for each.
    stage.clear()
    platform = stage.another(plugin=NAME, AGENTPOD_RUNTIME=NAME, AGENTPOD_ROUTER=NAME)
    begun = time.monotonic()
    for number in range(count // OF_TENANT):
        platform.tenant(f"t{number}")
        platform.call("POST", f"/tenants/t{number}/pods", {"name": "p0", "adapter": NAME})
    for number in range(count // OF_TENANT):
        platform.until_ready(f"t{number}", "p0")
    with Inside(platform) as inside:
        inside.execute(copies(OF_TENANT - 1))
        inside.resync()
        until(lambda: inside.fetch(_READY)[0][0] == count, "all are ready", seconds=PATIENCE, every=2)
    taken = time.monotonic() - begun
    time.sleep(1 if stage.is_quick else SETTLED)
    looks = processes.server_memory(platform.state, stage.turns(LOOKS))
    platform.end()
    note = f"all ready after {taken:.0f} s"
    return [figure(f"{TITLE}: {count:,}", looks, "MB", goal=at_most(400, "MB"), note=note)]


def copies(times: int) -> list[str]:
    """Give the statements that copy every pod so many times."""
    parts = [_COPY.format(table=table, changes=_PART, key="pod_id") for table in _PARTS]
    return [_CHOOSE.format(times=times), _COPY.format(table="pods", changes=_POD, key="id"), *parts]


CASE = Case(name="thousands", title=TITLE, run=run)
