"""The changes that a runtime can make, each with the reason for it.

Every action is idempotent: applied to a world that already is as it wants, it changes nothing.
"""

from __future__ import annotations

from msgspec import Struct

from agentpod_core.values.workload import File, Workload
from agentpod_core.values.world import Limits


class CreateNetwork(Struct, frozen=True, kw_only=True, tag="create-network"):
    """Make a tenant's bridge with that subnet (CIDR) and gateway address."""

    name: str
    tenant: str
    subnet: str
    gateway: str
    reason: str


class RemoveNetwork(Struct, frozen=True, kw_only=True, tag="remove-network"):
    """Remove a network of ours."""

    name: str
    reason: str


class ProtectHost(Struct, frozen=True, kw_only=True, tag="protect-host"):
    """Close the host to pods, but for its resolver and those TCP ``ports`` (the router's own)."""

    ports: tuple[int, ...]
    reason: str


class ObtainImage(Struct, frozen=True, kw_only=True, tag="obtain-image"):
    """Bring an image onto the engine."""

    image: str
    reason: str


class CreateVolume(Struct, frozen=True, kw_only=True, tag="create-volume"):
    """Make a volume with those labels; one that exists with other labels is a conflict."""

    name: str
    labels: dict[str, str]
    reason: str


class RemoveVolume(Struct, frozen=True, kw_only=True, tag="remove-volume"):
    """Remove a volume of ours and the data in it."""

    name: str
    reason: str


class CreateContainer(Struct, frozen=True, kw_only=True, tag="create-container"):
    """Make a container, without starting it.

    ``volumes`` maps a workload volume's name to the engine's. Other containers of the network find
    it by its ``hostname``. ``hosts`` maps further names to addresses that it should be able to look up.
    """

    name: str
    labels: dict[str, str]
    workload: Workload
    volumes: dict[str, str]
    network: str
    address: str
    hostname: str
    reason: str
    hosts: dict[str, str] = {}


class WriteFiles(Struct, frozen=True, kw_only=True, tag="write-files"):
    """Put files into the volumes of a container that was created or runs, owned by ``uid:gid``."""

    container: str
    files: tuple[File, ...]
    uid: int
    gid: int
    reason: str


class StartContainer(Struct, frozen=True, kw_only=True, tag="start-container"):
    """Start a container, or unpause it."""

    container: str
    reason: str


class StopContainer(Struct, frozen=True, kw_only=True, tag="stop-container"):
    """Stop a container, with ``timeout`` seconds for a clean end."""

    container: str
    timeout: float
    reason: str


class UpdateLimits(Struct, frozen=True, kw_only=True, tag="update-limits"):
    """Change limits and restart policy of a container in place."""

    container: str
    limits: Limits
    reason: str


class RemoveContainer(Struct, frozen=True, kw_only=True, tag="remove-container"):
    """Remove a container; its volumes stay."""

    container: str
    reason: str


class RunOnce(Struct, frozen=True, kw_only=True, tag="run-once"):
    """Run a command to its end in a container of its own, and leave nothing of it.

    It has the workload's image, environment, volumes, user and limits, and no network. One that an earlier
    try left behind goes first; one that takes longer than ``timeout`` seconds is ended. ``hostname`` is the pod's own,
    by which agents know locks of theirs in a volume.
    """

    name: str
    labels: dict[str, str]
    workload: Workload
    volumes: dict[str, str]
    command: tuple[str, ...]
    timeout: float
    reason: str
    hostname: str = ""


class TellHealed(Struct, frozen=True, kw_only=True, tag="tell-healed"):
    """Let the adapter bring back what the agent leaves off after an unclean end: no change of the engine's."""

    container: str
    address: str
    reason: str


Action = (
    CreateNetwork
    | RemoveNetwork
    | ProtectHost
    | ObtainImage
    | CreateVolume
    | RemoveVolume
    | CreateContainer
    | WriteFiles
    | StartContainer
    | StopContainer
    | UpdateLimits
    | RemoveContainer
    | RunOnce
)
"""What a runtime applies."""

PlannedAction = Action | TellHealed
"""What a plan holds."""
