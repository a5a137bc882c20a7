"""Row-level security, triggers, checks, composite keys and indexes of the first tables."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from agentpod_server.store.transactions import demanded

ID = "2026-11-21T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Row-level security, triggers, checks and indexes of the first tables"

OF_A_TENANT = (
    "address_leases",
    "pods",
    "pod_configs",
    "pod_workloads",
    "pod_status",
    "events",
    "operations",
    "secrets",
    "users",
    "sessions",
    "api_tokens",
    "audit_log",
)
OF_THE_PLATFORM = ("leases", "settings")

IS_ALL = "current_setting('app.scope', true) = 'all'"
IS_MINE = "= nullif(current_setting('app.tenant_id', true), '')::uuid"


def policy(table: str, claim: str) -> str:
    return f"""
        alter table {table} enable row level security;
        alter table {table} force row level security;
        create policy {table}_scope on {table} using ({claim}) with check ({claim});
    """


KEYS = """
    alter table tenants add check (wanted in ('running', 'stopped', 'deleted')), add check (slug <> '');
    alter table address_leases
        add unique (node, number), add unique (node, subnet), add unique (tenant_id, node);
    alter table pods
        add unique (tenant_id, name), add unique (tenant, name), add unique (node, address),
        add check (wanted in ('running', 'stopped', 'deleted')), add check (name <> ''), add check (subdomain <> '');
    create index pods_adapter on pods (adapter, tenant, name);
    alter table pod_configs add unique (pod_id, generation);
    alter table pod_workloads add unique (pod_id, generation);
    create index pod_status_phase on pod_status (phase);
    create index events_tenant on events (tenant, seq);
    create index events_tenant_id on events (tenant_id, seq);
    create index events_pod on events (tenant, pod, seq);
    alter table operations
        add check (status in ('pending', 'running', 'succeeded', 'failed'));
    create index operations_open on operations (id) where status in ('pending', 'running');
    create index operations_tenant on operations (tenant_id, id);
    alter table secrets add unique (tenant_id, key, version);
    create unique index users_login on users (lower(login));
    create index sessions_user on sessions (user_id);
    create index audit_log_tenant on audit_log (tenant_id, id);
    insert into nodes (name, created_at) values ('local', now());
"""

IMMUTABLE = """
    create function agentpod_keep_slug() returns trigger language plpgsql as $$
    begin
        raise exception 'names never change' using errcode = 'integrity_constraint_violation';
    end $$;
    create trigger keep_slug before update on tenants for each row
        when (old.id <> new.id or old.slug <> new.slug) execute function agentpod_keep_slug();
    create trigger keep_slug before update on pods for each row
        when (old.id <> new.id or old.tenant_id <> new.tenant_id or old.tenant <> new.tenant or old.name <> new.name)
        execute function agentpod_keep_slug();
"""

# The lock is held until the commit is visible, so whoever has read seq n has missed none below it.
EVENT_ORDER = """
    create sequence events_seq as bigint;
    create function agentpod_draw_seq() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock(4702111234474983744);
        new.seq := nextval('events_seq');
        return new;
    end $$;
    create trigger draw_seq before insert on events for each row execute function agentpod_draw_seq();
"""

NOTIFY = """
    create function agentpod_tell_pod() returns trigger language plpgsql as $$
    begin
        perform pg_notify('agentpod_changes', 'pod:' || coalesce(new.id, old.id));
        if tg_op <> 'UPDATE' then
            perform pg_notify('agentpod_changes', 'tenant:' || coalesce(new.tenant_id, old.tenant_id));
        end if;
        return null;
    end $$;
    create trigger tell after insert or update or delete on pods for each row execute function agentpod_tell_pod();

    create function agentpod_tell_tenant() returns trigger language plpgsql as $$
    begin
        perform pg_notify('agentpod_changes', 'tenant:' || coalesce(new.id, old.id));
        if tg_op = 'UPDATE' and new.wanted <> old.wanted then
            perform pg_notify('agentpod_changes', 'pod:' || pods.id) from pods where pods.tenant_id = new.id;
        end if;
        return null;
    end $$;
    create trigger tell after insert or update or delete on tenants
        for each row execute function agentpod_tell_tenant();

    create function agentpod_tell_status() returns trigger language plpgsql as $$
    begin
        perform pg_notify('agentpod_status', new.pod_id::text);
        return null;
    end $$;
    create trigger tell after update on pod_status for each row
        when (old.status is distinct from new.status) execute function agentpod_tell_status();

    create function agentpod_tell_event() returns trigger language plpgsql as $$
    begin
        perform pg_notify('agentpod_events', new.seq::text);
        return null;
    end $$;
    create trigger tell after insert on events for each row execute function agentpod_tell_event();

    create function agentpod_tell_operation() returns trigger language plpgsql as $$
    begin
        perform pg_notify('agentpod_operations', new.id::text);
        return null;
    end $$;
    create trigger tell after insert or update on operations
        for each row execute function agentpod_tell_operation();
"""


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="agentpod", description=DESCRIPTION)

    async def run():
        transaction = demanded()
        for sql in (KEYS, IMMUTABLE, EVENT_ORDER, NOTIFY):
            await transaction.execute(sql)
        for table in OF_A_TENANT:
            await transaction.execute(policy(table, f"tenant_id {IS_MINE} or {IS_ALL}"))
        for table in OF_THE_PLATFORM:
            await transaction.execute(policy(table, IS_ALL))
        await transaction.execute(policy("tenants", f"id {IS_MINE} or {IS_ALL}"))

    manager.add_raw(run)
    return manager
