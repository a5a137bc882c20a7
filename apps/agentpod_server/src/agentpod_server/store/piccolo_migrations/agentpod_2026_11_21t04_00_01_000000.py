"""Row-level security, triggers and indexes of the tables of availability and retention."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from agentpod_server.store.transactions import demanded

ID = "2026-11-21T04:00:01:000000"
VERSION = "1.38.0"
DESCRIPTION = "Row-level security, triggers and indexes of availability and retention"

IS_ALL = "current_setting('app.scope', true) = 'all'"
IS_MINE = "= nullif(current_setting('app.tenant_id', true), '')::uuid"


def policy(table: str, claim: str) -> str:
    return f"""
        alter table {table} enable row level security;
        alter table {table} force row level security;
        create policy {table}_scope on {table} using ({claim}) with check ({claim});
    """


KEYS = """
    alter table availability
        add unique (pod_id, at), add check (state in ('ready', 'not-ready', 'not-wanted', 'unknown'));
    create index availability_tenant on availability (tenant_id, pod_id);
    create index availability_at on availability (at);
    create index availability_gaps_until on availability_gaps (until);
    alter table events_pruned add unique (tenant, pod);
"""

# What happened is taken away by the platform when it is old, never by whoever sees one tenant only.
PRUNING = f"""
    create policy events_prune on events as restrictive for delete using ({IS_ALL});
    create policy availability_prune on availability as restrictive for delete using ({IS_ALL});
"""

# Whoever takes the lease over, or wakes up after it ran out, has seen nothing since it was renewed last.
GAPS = """
    create function agentpod_note_gap() returns trigger language plpgsql as $$
    begin
        new.renewed_at := clock_timestamp();
        if tg_op = 'UPDATE' and new.name = 'controller' and new.holder <> '' and old.renewed_at < new.renewed_at
            and (old.holder <> new.holder or old.expires_at <= new.renewed_at) then
            insert into availability_gaps (id, since, until)
            values (gen_random_uuid(), old.renewed_at, new.renewed_at);
        end if;
        return new;
    end $$;
    create trigger note_gap before insert or update on leases for each row execute function agentpod_note_gap();
"""


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="agentpod", description=DESCRIPTION)

    async def run():
        transaction = demanded()
        for sql in (KEYS, PRUNING, GAPS):
            await transaction.execute(sql)
        for table in ("availability", "events_pruned"):
            await transaction.execute(policy(table, f"tenant_id {IS_MINE} or {IS_ALL}"))
        await transaction.execute(policy("availability_gaps", IS_ALL))

    manager.add_raw(run)
    return manager
