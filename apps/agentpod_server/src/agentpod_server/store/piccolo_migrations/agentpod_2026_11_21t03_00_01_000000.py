"""Row-level security, triggers, checks and indexes of the alerts' tables."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from agentpod_server.store.transactions import demanded

ID = "2026-11-21T03:00:01:000000"
VERSION = "1.38.0"
DESCRIPTION = "Row-level security, triggers, checks and indexes of the alerts' tables"

TABLES = ("alerts", "alert_routes", "alerts_outbox", "silences")

IS_ALL = "current_setting('app.scope', true) = 'all'"
IS_MINE = "= nullif(current_setting('app.tenant_id', true), '')::uuid"

KEYS = """
    alter table alerts add check (severity in ('info', 'warning', 'error')), add check (reason <> '');
    create unique index alerts_open on alerts
        (coalesce(pod_id, '00000000-0000-0000-0000-000000000000'), reason, subject) where cleared_at is null;
    create index alerts_tenant on alerts (tenant_id, id);
    create index alerts_cleared on alerts (cleared_at) where cleared_at is not null;
    create index alerts_over on alerts (pod_id, id) where cleared_at is not null;
    alter table alert_routes
        add check (min_severity in ('info', 'warning', 'error')), add check (name <> ''),
        add unique nulls not distinct (tenant_id, name);
    alter table alerts_outbox alter column number drop default;
    alter table alerts_outbox
        alter column number add generated always as identity,
        add foreign key (alert_id) references alerts on delete cascade,
        add foreign key (route_id) references alert_routes on delete cascade,
        add unique (alert_id, route_id, kind),
        add check (kind in ('raised', 'recovered')), add check (state in ('pending', 'delivered', 'failed'));
    create index alerts_outbox_pending on alerts_outbox (route_id, subject, number) where state = 'pending';
    create index alerts_outbox_due on alerts_outbox (due_at) where state = 'pending';
    create index alerts_outbox_route on alerts_outbox (route_id, id);
    create index alerts_outbox_undelivered on alerts_outbox (state) where state <> 'delivered';
    create index silences_ends on silences (ends_at);
    create unique index secrets_of_the_platform on secrets (key, version) where tenant_id is null;
"""

# Whether a reader's own targets are told: a tenant does not see the platform's silences, and is to know of them.
SILENCED = """
    create function agentpod_is_silenced(reader uuid, its_tenant text, its_pod text, its_reason text)
    returns boolean language plpgsql as $$
    declare
        scope text := coalesce(current_setting('app.scope', true), '');
        answer boolean;
    begin
        perform set_config('app.scope', 'all', true);
        answer := exists (
            select from silences s
            where s.ends_at > now() and (s.tenant_id is null or s.tenant_id = reader)
              and s.tenant in ('', its_tenant) and s.pod in ('', its_pod) and s.reason in ('', its_reason));
        perform set_config('app.scope', scope, true);
        return answer;
    end $$;
"""

NOTIFY = """
    create function agentpod_tell_alerts() returns trigger language plpgsql as $$
    begin
        perform pg_notify('agentpod_alerts', '');
        return null;
    end $$;
    create trigger tell after insert on alerts_outbox
        for each statement execute function agentpod_tell_alerts();
    create trigger tell after insert or update of kind, settings, min_severity, reasons, is_paused on alert_routes
        for each statement execute function agentpod_tell_alerts();
    create trigger tell after insert or delete on silences
        for each statement execute function agentpod_tell_alerts();
"""


async def forwards():
    """Add what Piccolo does not know of."""
    manager = MigrationManager(migration_id=ID, app_name="agentpod", description=DESCRIPTION)

    async def run():
        transaction = demanded()
        for sql in (KEYS, SILENCED, NOTIFY):
            await transaction.execute(sql)
        for table in TABLES:
            claim = f"tenant_id {IS_MINE} or {IS_ALL}"
            await transaction.execute(f"""
                alter table {table} enable row level security;
                alter table {table} force row level security;
                create policy {table}_scope on {table} using ({claim}) with check ({claim});
            """)

    manager.add_raw(run)
    return manager
