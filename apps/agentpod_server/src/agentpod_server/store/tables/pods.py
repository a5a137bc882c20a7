"""Tenants and their pods: what was asked, what is rendered, what was concluded, and where they are."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, Boolean, ForeignKey, Integer, OnDelete, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from agentpod_server.store.piccolo_engine import ENGINE


class Nodes(Table, tablename="nodes", db=ENGINE):
    """Machines that pods run on."""

    name = Varchar(length=63, primary_key=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Tenants(Table, tablename="tenants", db=ENGINE):
    """Customers."""

    id = UUID(primary_key=True, default=None)
    slug = Varchar(length=30, unique=True, default=None)
    name = Text(default="")
    email = Text(default="")
    wanted = Varchar(length=16, default="running")
    generation = Integer(default=1)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class AddressLeases(Table, tablename="address_leases", db=ENGINE):
    """Which piece of a node's address plan is whose."""

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=False, default=None)
    node = ForeignKey(Nodes, on_delete=OnDelete.restrict, null=False, default="local")
    number = Integer(default=None)
    subnet = Varchar(length=43, default=None)
    gateway = Varchar(length=39, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Pods(Table, tablename="pods", db=ENGINE):
    """Pods; ``tenant``, ``wanted`` and ``adapter`` repeat what never differs from elsewhere, for the listings."""

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    tenant = Varchar(length=30, default=None)
    name = Varchar(length=30, default=None)
    subdomain = Varchar(length=63, unique=True, default=None)
    generation = Integer(default=1)
    wanted = Varchar(length=16, default="running")
    adapter = Varchar(length=63, default=None)
    node = ForeignKey(Nodes, on_delete=OnDelete.restrict, null=False, default="local")
    address = Varchar(length=39, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class PodConfigs(Table, tablename="pod_configs", db=ENGINE):
    """One immutable row per generation of a pod; ``spec`` is a PodSpec."""

    id = UUID(primary_key=True, default=None)
    pod_id = ForeignKey(Pods, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    generation = Integer(default=None)
    adapter = Varchar(length=63, default=None)
    config_version = Integer(default=1)
    spec = JSONB(default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    created_by = Text(default="")


class PodWorkloads(Table, tablename="pod_workloads", db=ENGINE):
    """What each generation was rendered to: a Workload, and the secrets it was rendered with by name."""

    id = UUID(primary_key=True, default=None)
    pod_id = ForeignKey(Pods, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    generation = Integer(default=None)
    workload = JSONB(default=None)
    secrets = JSONB(default="{}")
    credential = Text(default=None, null=True)
    created_at = Timestamptz(default=TimestamptzNow())


class PodStatus(Table, tablename="pod_status", db=ENGINE):
    """What was concluded about a pod: ``status`` is a PodStatus, ``record`` a Record."""

    pod_id = ForeignKey(Pods, primary_key=True, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    node = ForeignKey(Nodes, on_delete=OnDelete.restrict, null=False, default="local")
    phase = Varchar(length=16, default="pending")
    ready = Boolean(default=False)
    observed_generation = Integer(default=0)
    status = JSONB(default="{}")
    record = JSONB(default="{}")
    updated_at = Timestamptz(default=TimestamptzNow())
