"""Resolves what was asked of a pod to the objects that should exist for it, with their names and hashes.

Decides what counts as a change: the container part of a workload has one hash (a change means a
new container), every file has its own, and limits are compared by value.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core.errors import Problem
from agentpod_core.ports import PodInput
from agentpod_core.values import names
from agentpod_core.values.pods import Wanted
from agentpod_core.values.workload import SECRETS_PATH, SECRETS_VOLUME, File, Probe, SecretRef, Volume, Workload
from agentpod_core.values.world import Limits

FILES_LABEL = "agentpod.files"
DAY = 86_400
"""The longest time, in seconds, that asking an agent may be told to take or to wait."""


class Desired(Struct, frozen=True, kw_only=True):
    """A pod's spec, resolved. ``files`` maps paths to hashes, ``volumes`` workload names to engine names."""

    pod_id: str
    tenant: str
    generation: int
    wanted: Wanted
    workload: Workload
    container: str
    hostname: str
    network: str
    address: str
    volumes: dict[str, str]
    labels: dict[str, str]
    spec_hash: str
    asked: str
    files: dict[str, str]
    limits: Limits
    restarts: int
    keep_data: bool


def desire(instance: str, pod: PodInput) -> Desired:
    """Resolve a pod as the store knows it."""
    workload = with_secrets_volume(pod.workload)
    hostname = f"{pod.name}-{pod.tenant}"
    network = names.network_name(instance, pod.lease.number)
    files = {file.path: _hash(file) for file in workload.files}
    spec_hash = _hash(
        {
            "image": workload.image,
            "command": workload.command,
            "env": workload.env,
            "volumes": workload.volumes,
            "security": workload.security,
            "hostname": hostname,
            "network": network,
            "address": pod.address,
        }
    )
    labels = names.owner_labels(
        instance, pod_id=pod.id, tenant=pod.tenant, adapter=pod.spec.adapter, spec_hash=spec_hash
    )
    return Desired(
        pod_id=pod.id,
        tenant=pod.tenant,
        generation=pod.generation,
        wanted=effective_wanted(pod),
        workload=workload,
        container=names.container_name(instance, pod.id),
        hostname=hostname,
        network=network,
        address=pod.address,
        volumes={volume.name: names.volume_name(instance, pod.id, volume.name) for volume in workload.volumes},
        labels=labels | {FILES_LABEL: _hash(files)},
        spec_hash=spec_hash,
        asked=asked_hash(workload),
        files=files,
        limits=Limits(
            memory=workload.resources.memory, cpus=workload.resources.cpus, pids=workload.resources.pids, restart=True
        ),
        restarts=pod.spec.restarts,
        keep_data=pod.spec.keep_data,
    )


def asked_hash(workload: Workload) -> str:
    """Hash how an agent is asked for its health: its probe, and the port."""
    return _hash({"probe": workload.probe, "port": workload.main_port()})


def effective_wanted(pod: PodInput) -> Wanted:
    """Combine what is wanted of the pod with what is wanted of its tenant: the lesser life wins."""
    return lesser_life(pod.spec.wanted, pod.tenant_wanted)


def lesser_life(wanted: Wanted, tenant_wanted: Wanted) -> Wanted:
    """Combine what is wanted of a pod with what is wanted of its tenant."""
    if wanted is tenant_wanted:
        return wanted
    both = {wanted, tenant_wanted}
    return next(wanted for wanted in (Wanted.DELETED, Wanted.STOPPED, Wanted.RUNNING) if wanted in both)


def with_secrets_volume(workload: Workload) -> Workload:
    """Add the volume for files with secret parts, where there are any."""
    if not any(is_secret(file) for file in workload.files):
        return workload
    volume = Volume(name=SECRETS_VOLUME, path=SECRETS_PATH, backup=False)
    return msgspec.structs.replace(workload, volumes=(*workload.volumes, volume))


def is_secret(file: File) -> bool:
    """Say whether a file holds a secret."""
    return any(isinstance(part, SecretRef) for part in file.parts)


def workload_problems(workload: Workload) -> list[Problem]:
    """List what is wrong with a workload that an adapter rendered; empty when it can be run."""
    problems = [
        Problem(path=f"$.{what}", reason="Duplicate", params={"name": name}, message=f"{name} is given twice")
        for what, given in (
            ("volumes", [volume.name for volume in workload.volumes]),
            ("volumes", [volume.path for volume in workload.volumes]),
            ("ports", [port.name for port in workload.ports]),
            ("files", [file.path for file in workload.files]),
        )
        for name in names.repeated(given)
    ]
    roots = tuple(f"{volume.path.rstrip('/')}/" for volume in with_secrets_volume(workload).volumes)
    for file in workload.files:
        inside = file.path.startswith(f"{SECRETS_PATH}/") if is_secret(file) else file.path.startswith(roots)
        if not inside or "/../" in file.path:
            where = SECRETS_PATH if is_secret(file) else "one of the workload's volumes"
            problems.append(
                Problem(
                    path="$.files",
                    reason="FileOutsideVolumes",
                    params={"path": file.path, "where": where},
                    message=f"{file.path} must lie in {where}",
                )
            )
    if workload.probe is not None:
        problems += _probe_problems(workload.probe)
    if workload.route and workload.route.port not in {port.name for port in workload.ports}:
        port = workload.route.port
        problems.append(
            Problem(path="$.route.port", reason="UnknownPort", params={"port": port}, message=f"no port named {port}")
        )
    return problems


def _probe_problems(probe: Probe) -> list[Problem]:
    """List what is wrong with how an agent is to be asked; what its settings mean, only the probe knows."""
    bounds = {
        "interval": (0.1, DAY),
        "start_interval": (0.05, DAY),
        "timeout": (0.05, DAY),
        "failures": (1, 1000),
        "start_deadline": (0.1, DAY),
    }
    found = [
        Problem(
            path=f"$.probe.{field}",
            reason="NotAccepted",
            params={"message": (message := f"must be from {lowest} to {highest}, not {getattr(probe, field)}")},
            message=message,
        )
        for field, (lowest, highest) in bounds.items()
        # Written so that what is no number at all is refused, too.
        if not lowest <= getattr(probe, field) <= highest
    ]
    if probe.timeout > probe.interval:
        message = f"{probe.timeout} is more than the interval, {probe.interval}: a question would outlast the next"
        found.append(
            Problem(path="$.probe.timeout", reason="NotAccepted", params={"message": message}, message=message)
        )
    return found


def _hash(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(_said(value), order="deterministic")).hexdigest()[:32]


def _said(value: Any) -> Any:
    """Leave out what is as by default: a field that a later version adds must not make every container anew."""
    match value:
        case Struct():
            given = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
            return {name: _said(one) for name, one, default in given if one != default}
        case dict():
            return {key: _said(one) for key, one in value.items()}
        case tuple() | list():
            return [_said(one) for one in value]
    return value


@cache
def _defaults(kind: type[Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory())
        for field in msgspec.structs.fields(kind)
    )
