"""Turns a wanted container into the engine's JSON: everything that is hardened is hardened here. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentpod_core import CreateContainer, Limits, Resources, RunOnce, SecretRef, secret_value
from agentpod_docker.reading import UNLIMITED_MEMORY

LOG_SIZE, LOG_FILES = "10m", "3"
_NANO = 1_000_000
_LASTING = {f"agentpod.{what}" for what in ("managed", "instance", "pod-id", "tenant", "adapter")}


def container_body(action: CreateContainer, material: Mapping[SecretRef, str], processors: int) -> dict[str, Any]:
    """Write the body of a create call. Nothing is ever published, and nothing but volumes is mounted.

    Raises:
        PermanentError: ``SecretMissing``.
    """
    workload, security = action.workload, action.workload.security
    body: dict[str, Any] = {
        "Image": workload.image,
        "Hostname": action.hostname,
        "User": f"{security.uid}:{security.gid}",
        "Labels": action.labels,
        "Env": [f"{name}={_value(value, material)}" for name, value in sorted(workload.env.items())],
        "StopTimeout": max(1, round(workload.stop_timeout)),
        "NetworkingConfig": {
            # By its hostname a pod finds the others of its tenant, and nobody else's.
            "EndpointsConfig": {
                action.network: {"IPAMConfig": {"IPv4Address": action.address}, "Aliases": [action.hostname]}
            },
        },
        "HostConfig": {
            "NetworkMode": action.network,
            "RestartPolicy": {"Name": "unless-stopped"},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": security.read_only_root,
            "Init": security.init,
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": action.volumes[volume.name],
                    "Target": volume.path,
                    # For a volume that somebody removed: the engine makes a new one, and it is ours.
                    "VolumeOptions": {"Labels": volume_labels(action.labels)},
                }
                for volume in workload.volumes
            ],
            "Tmpfs": {path: f"rw,noexec,nosuid,nodev,size={size},mode=1777" for path, size in security.tmpfs.items()},
            "ExtraHosts": [f"{name}:{address}" for name, address in sorted(action.hosts.items())],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": LOG_SIZE, "max-file": LOG_FILES}},
            **_limits(workload.resources, processors),
        },
    }
    if workload.command is not None:
        body["Cmd"] = list(workload.command)
    return body


def once_body(action: RunOnce, material: Mapping[SecretRef, str], processors: int) -> dict[str, Any]:
    """Write the body of a create call for a command that runs once: nobody starts it again, and it reaches nobody.

    Raises:
        PermanentError: ``SecretMissing``.
    """
    like = CreateContainer(
        name=action.name,
        labels=action.labels,
        workload=action.workload,
        volumes=action.volumes,
        network="none",
        address="",
        hostname=action.hostname,
        reason=action.reason,
    )
    body = container_body(like, material, processors) | {"Cmd": list(action.command)}
    del body["NetworkingConfig"]
    body["HostConfig"]["RestartPolicy"] = {"Name": "no"}
    return body


def volume_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Give the labels of a pod's volumes: those of its container that never change."""
    return {key: value for key, value in labels.items() if key in _LASTING}


def update_body(limits: Limits, processors: int) -> dict[str, Any]:
    """Write the body of an update call; there 0 means "no change", so a limit is lifted by a huge one."""
    memory = UNLIMITED_MEMORY if limits.memory is None else limits.memory
    return {
        "Memory": memory,
        "MemorySwap": memory,
        "NanoCpus": granted_cpus(limits.cpus, processors) * _NANO,
        "PidsLimit": -1 if limits.pids is None else limits.pids,
        "RestartPolicy": {"Name": "unless-stopped" if limits.restart else "no"},
    }


def granted_cpus(cpus: int | None, processors: int) -> int:
    """Give the millicores to ask for: the engine refuses more than the machine has, and cannot lift a limit."""
    return processors * 1000 if cpus is None else min(cpus, processors * 1000)


def _limits(resources: Resources, processors: int) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if resources.memory is not None:
        limits |= {"Memory": resources.memory, "MemorySwap": resources.memory}
    if resources.cpus is not None:
        limits["NanoCpus"] = granted_cpus(resources.cpus, processors) * _NANO
    if resources.pids is not None:
        limits["PidsLimit"] = resources.pids
    return limits


def _value(value: str | SecretRef, material: Mapping[SecretRef, str]) -> str:
    return secret_value(value, material) if isinstance(value, SecretRef) else value
