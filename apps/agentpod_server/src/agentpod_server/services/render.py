"""Turns a spec into a workload: the pod as its adapter sees it, the adapter's rendering, and its validity."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core import AgentAdapter, ConfigError, PluginError, Pod, Problem, Resources, SecretRef, Workload, schema
from agentpod_core.desired import workload_problems
from agentpod_core.values.pods import Lease, PodSpec
from agentpod_server.services import config
from agentpod_server.services.addresses import Addresses
from agentpod_server.services.offers import Offers


class Place(Struct, frozen=True, kw_only=True):
    """Who a pod is and where it stands, whatever it runs."""

    id: str
    name: str
    tenant: str
    tenant_name: str
    address: str
    lease: Lease


def resources_of(adapter: AgentAdapter[Any], spec: PodSpec) -> tuple[str | None, Resources]:
    """Give the size's name (the adapter's first where none is chosen) and the limits that it comes to."""
    size = spec.size or next(iter(adapter.sizes), None)
    limits = adapter.sizes.get(size, Resources()) if size else Resources()
    return size, _overridden(limits, spec)


def pod_view(
    adapter: AgentAdapter[Any], place: Place, spec: PodSpec, secrets: dict[str, SecretRef], addresses: Addresses
) -> Pod:
    """Give the pod as an adapter may see it."""
    size, resources = resources_of(adapter, spec)
    return Pod(
        id=place.id,
        name=place.name,
        tenant=place.tenant,
        tenant_name=place.tenant_name,
        host=addresses.hosts(spec.subdomain)[0],
        origins=addresses.origins(spec.subdomain),
        address=place.address,
        gateway=place.lease.gateway,
        hostname=f"{place.name}-{place.tenant}",
        size=size,
        resources=resources,
        secrets=secrets,
    )


async def render(adapter: AgentAdapter[Any], spec: PodSpec, pod: Pod, offers: Offers) -> Workload:
    """Render the workload of a spec whose config was checked.

    Raises:
        ConfigError: the adapter refuses the values, with their paths.
        TemporaryError: the adapter broke, hangs or renders no workload (``PluginFailed`` and its like).
        PluginError: what it rendered cannot be run (``BadWorkload``).
    """
    try:
        built = schema.build(adapter.config_type, spec.config)
        rendered: Workload = await offers.ask(adapter, "workload", built, pod, None)
    except ConfigError as error:
        raise ConfigError(config.below(error.problems)) from error
    workload = msgspec.structs.replace(
        rendered,
        image=spec.image or rendered.image,
        resources=_overridden(rendered.resources, spec),
        boot_cost=rendered.boot_cost or adapter.boot_cost,
        request=rendered.request or adapter.request,
    )
    problems = workload_problems(workload)
    if workload.probe is not None and not offers.has_probe(workload.probe.probe):
        name = workload.probe.probe
        problems.append(
            Problem(path="$.probe", reason="UnknownProbe", params={"name": name}, message=f"no probe named {name}")
        )
    if problems:
        what = "; ".join(f"{one.path}: {one.message}" for one in problems)
        raise PluginError("BadWorkload", **offers.owner(adapter), adapter=adapter.name, problems=what)
    return workload


def _overridden(limits: Resources, spec: PodSpec) -> Resources:
    return msgspec.structs.replace(
        limits,
        memory=limits.memory if spec.memory is None else spec.memory,
        cpus=limits.cpus if spec.cpus is None else spec.cpus,
    )
