"""The reference's containers: made like one of ours, with the engine's bare API alone.

The create call is made from what the engine shows of ours, and ``prove`` demands that the engine then shows the
same for both. The files come from the same adapter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core import AgentAdapter, Pod, SecretRef, Workload, file_content, file_mode
from stage.engine import Engine

NETWORK = "apbench"
SUBNET, GATEWAY, ADDRESS, NEIGHBOUR = "10.212.128.0/26", "10.212.128.1", "10.212.128.10", "10.212.128.11"

_CONFIG = ("Image", "User", "Env", "Cmd", "Entrypoint", "WorkingDir", "StopTimeout", "Healthcheck", "ExposedPorts")
_HOST = (
    "RestartPolicy", "CapAdd", "CapDrop", "SecurityOpt", "ReadonlyRootfs", "Init", "Tmpfs", "ExtraHosts", "LogConfig",
    "Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "PidsLimit", "Ulimits", "ShmSize",
    "Privileged", "IpcMode", "PidMode", "Runtime", "PortBindings",
)  # fmt: skip
_FACTS: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "image": lambda one: one["Image"],
    "driver": lambda one: one["Driver"],
    "labels": lambda one: len(one["Config"]["Labels"]),
    "mounts": lambda one: sorted((mount["Type"], mount["Destination"], mount["RW"]) for mount in one["Mounts"]),
    "networks": lambda one: [
        (bool(place["IPAMConfig"]["IPv4Address"]), place["IPPrefixLen"])
        for place in one["NetworkSettings"]["Networks"].values()
    ],
}


class Content(Struct, frozen=True, kw_only=True):
    """A file of the agent: where it lies, what is in it, who may read it."""

    path: str
    content: bytes
    mode: int


def workload(adapter: AgentAdapter[Any], config: Mapping[str, Any], *, size: str = "default") -> Workload:
    """Render what the adapter wants for that config, in the reference's place."""
    pod = Pod(
        id="reference",
        name="reference",
        tenant="bench",
        tenant_name="bench",
        host="reference.localhost",
        origins=("http://reference.localhost",),
        address=ADDRESS,
        gateway=GATEWAY,
        hostname="reference",
        size=size,
        resources=adapter.sizes[size],
        secrets={name: SecretRef(key=name) for name in adapter.generated_secrets},
    )
    return adapter.workload(msgspec.convert(config, adapter.config_type), pod, None)


def contents(wanted: Workload) -> list[Content]:
    """Give the files of a workload, with something of the usual length in the place of each secret."""
    refs = [part for file in wanted.files for part in file.parts if isinstance(part, SecretRef)]
    values = dict.fromkeys(refs, "bench-" * 7)
    return [Content(path=file.path, content=file_content(file, values), mode=file_mode(file)) for file in wanted.files]


class Twins:
    """Containers like ``ours``, which is what the engine shows of one of our pods."""

    def __init__(self, engine: Engine, ours: Mapping[str, Any], files: Sequence[Content]) -> None:
        self._engine = engine
        self._ours = ours
        self._roots = sorted(mount["Destination"] for mount in ours["Mounts"])
        self._files = {root: [file for file in files if file.path.startswith(f"{root}/")] for root in self._roots}
        image = engine.call("GET", f"images/{ours['Config']['Image']}/json")["Config"]["Labels"] or {}
        self._labels = {key: value for key, value in ours["Config"]["Labels"].items() if image.get(key) != value}

    def create(self, name: str, address: str = ADDRESS) -> None:
        """Create one, with its volumes: the engine makes those in the same call, which is the quickest way."""
        config, host = self._ours["Config"], self._ours["HostConfig"]
        endpoint = {"IPAMConfig": {"IPv4Address": address}, "Aliases": [name]}
        body = {
            **{key: config[key] for key in ("Image", "User", "Env", "Cmd", "Entrypoint", "StopTimeout")},
            "Hostname": name,
            # As many labels as ours, with one that says whose it is.
            "Labels": {**{f"bench.{key}": value for key, value in self._labels.items()}, **self._engine.labels},
            "NetworkingConfig": {"EndpointsConfig": {NETWORK: endpoint}},
            "HostConfig": {
                **{key: host[key] for key in _HOST},
                "NetworkMode": NETWORK,
                "Mounts": [self._mount(name, root) for root in self._roots],
            },
        }
        body["Labels"].pop("bench.agentpod.files", None)
        self._engine.call("POST", "containers/create", body, name=name)

    def send_files(self, name: str) -> None:
        """Write the agent's files as archives, one for each volume: the API knows no other way."""
        for root, files in self._files.items():
            if files:
                entries = [(file.path.removeprefix(f"{root}/"), file.content, file.mode) for file in files]
                self._engine.put(name, root, entries)

    def place_files(self, name: str) -> None:
        """Write the agent's files straight into the volumes' folders on this machine."""
        folders = {mount["Destination"]: Path(mount["Source"]) for mount in self._engine.inspect(name)["Mounts"]}
        for root, files in self._files.items():
            for file in files:
                place = folders[root] / file.path.removeprefix(f"{root}/")
                place.write_bytes(file.content)
                place.chmod(file.mode)
                os.chown(place, 1000, 1000)

    def start(self, name: str) -> None:
        """Start one."""
        self._engine.call("POST", f"containers/{name}/start")

    def prove(self, name: str) -> None:
        """Demand that the engine shows the same for it as for ours.

        Raises:
            RuntimeError: it does not; what differs.
        """
        if differing := differences(self._ours, self._engine.inspect(name)):
            raise RuntimeError(f"{name} is not made like ours: {'; '.join(differing)}")

    def _mount(self, name: str, root: str) -> dict[str, Any]:
        volume = f"{name}{root.replace('/', '-')}"
        return {"Type": "volume", "Source": volume, "Target": root, "VolumeOptions": {"Labels": self._engine.labels}}


def differences(ours: Mapping[str, Any], twin: Mapping[str, Any]) -> list[str]:
    """List what the engine shows otherwise for two containers; names, addresses and labels' texts may differ."""
    pairs = [(f"Config.{key}", ours["Config"].get(key), twin["Config"].get(key)) for key in _CONFIG]
    pairs += [(f"HostConfig.{key}", ours["HostConfig"].get(key), twin["HostConfig"].get(key)) for key in _HOST]
    pairs += [(what, fact(ours), fact(twin)) for what, fact in _FACTS.items()]
    return [f"{what}: {mine} != {theirs}" for what, mine, theirs in pairs if mine != theirs]
