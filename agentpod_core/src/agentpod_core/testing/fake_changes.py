"""Makes the changes that the fake runtime is asked for, and refuses what a real engine would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from agentpod_core.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.testing.fake_engine import LIVING, FakeContainer, FakeEngine, FakeVolume
from agentpod_core.testing.fake_programs import Seen, run
from agentpod_core.values import actions
from agentpod_core.values.actions import Action
from agentpod_core.values.names import owner_labels
from agentpod_core.values.rendering import file_content, file_mode, secret_value
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import ContainerState, Limits, Protection, SeenNetwork


class Changes:
    """The world of one instance on a fake engine."""

    def __init__(self, engine: FakeEngine, instance: str) -> None:
        self.engine = engine
        self.instance = instance

    def make(self, action: Action, material: Mapping[SecretRef, str]) -> None:  # noqa: C901, PLR0912 - one line each
        """Make one change, or refuse it."""
        match action:
            case actions.CreateNetwork():
                self._create_network(action)
            case actions.RemoveNetwork():
                self._remove_network(action)
            case actions.ProtectHost():
                self.engine.protection = Protection(active=True)
            case actions.ObtainImage():
                if action.image not in self.engine.images | self.engine.pullable:
                    raise PermanentError("ImageNotFound", image=action.image)
                self.engine.images.add(action.image)
            case actions.CreateVolume():
                volume = self.engine.volumes.setdefault(action.name, FakeVolume(dict(action.labels)))
                if volume.labels != action.labels:
                    raise ConflictError("NameTaken", name=action.name)
            case actions.RemoveVolume():
                self._remove_volume(action)
            case actions.CreateContainer():
                self._create_container(action, material)
            case actions.WriteFiles():
                self._write_files(action, material)
            case actions.StartContainer():
                self._start(self.get(action.container))
            case actions.StopContainer():
                self._stop(self.find(action.container))
            case actions.UpdateLimits():
                self.get(action.container).limits = action.limits
            case actions.RemoveContainer():
                found = self.find(action.container)
                if found:
                    self.engine.remove_by_hand(found.name)
            case actions.RunOnce():
                self._run_once(action, material)
            case _:
                assert_never(action)

    def _create_network(self, action: actions.CreateNetwork) -> None:
        there = self.engine.networks.get(action.name)
        if there is not None:
            if not self.is_ours(there.labels):
                raise ConflictError("NameTaken", name=action.name)
            if there.subnet != action.subnet:
                raise ConflictError("ObjectDiffers", name=action.name)
            return
        if holder := self.engine.holder(action.subnet):
            raise ConflictError("SubnetTaken", subnet=action.subnet, holder=holder)
        labels = owner_labels(self.instance, tenant=action.tenant)
        self.engine.networks[action.name] = SeenNetwork(
            id=self.engine.next_id(), name=action.name, subnet=action.subnet, labels=labels
        )

    def _remove_network(self, action: actions.RemoveNetwork) -> None:
        there = self.engine.networks.get(action.name)
        if there is None or not self.is_ours(there.labels):
            return
        if any(one.network == action.name and one.state in LIVING for one in self.engine.containers.values()):
            raise TemporaryError("ObjectInUse", name=action.name)
        del self.engine.networks[action.name]

    def _remove_volume(self, action: actions.RemoveVolume) -> None:
        there = self.engine.volumes.get(action.name)
        if there is None or not self.is_ours(there.labels):
            return
        if any(action.name in one.volumes.values() for one in self.engine.containers.values()):
            raise TemporaryError("ObjectInUse", name=action.name)
        del self.engine.volumes[action.name]

    def _create_container(self, action: actions.CreateContainer, material: Mapping[SecretRef, str]) -> None:
        there = self.engine.containers.get(action.name)
        if there is not None:
            if not self.is_ours(there.labels):
                raise ConflictError("NameTaken", name=action.name)
            if there.labels.get("agentpod.spec-hash") != action.labels.get("agentpod.spec-hash"):
                raise ConflictError("ObjectDiffers", name=action.name)
            return
        if action.workload.image not in self.engine.images:
            raise PermanentError("ImageNotFound", image=action.workload.image)
        if action.network not in self.engine.networks:
            raise TemporaryError("NetworkMissing", name=action.network)
        made = self._made(action, material, network=action.network, address=action.address, hostname=action.hostname)
        made.hosts = dict(action.hosts)
        self.engine.containers[action.name] = made

    def _write_files(self, action: actions.WriteFiles, material: Mapping[SecretRef, str]) -> None:
        container = self.get(action.container)
        for file in action.files:
            if file.once and self.engine.look(container, file.path) is not None:
                continue
            seen = Seen(file_content(file, material), file_mode(file), action.uid, action.gid)
            try:
                self.engine.put(container, file.path, seen)
            except KeyError:
                raise PermanentError("FileOutsideVolumes", path=file.path, where="one of the volumes") from None

    def _start(self, container: FakeContainer) -> None:
        if container.state is ContainerState.PAUSED:
            container.state = ContainerState.RUNNING
            self.engine.happened("unpause", container)
        if container.state in LIVING:
            return
        if container.network not in self.engine.networks:
            raise TemporaryError("NetworkMissing", name=container.network)
        for other in self.engine.containers.values():
            if other is not container and other.state in LIVING and other.address == container.address:
                raise ConflictError("AddressTaken", address=container.address, holder=other.name)
        container.restarts = 0
        self.engine.begin(container)

    def _stop(self, container: FakeContainer | None) -> None:
        if container is not None and container.state in LIVING:
            container.end_wanted = True
            self.engine.end(container, 143)

    def _run_once(self, action: actions.RunOnce, material: Mapping[SecretRef, str]) -> None:
        left = self.engine.containers.get(action.name)
        if left is not None and not self.is_ours(left.labels):
            raise ConflictError("NameTaken", name=action.name)
        self.engine.containers.pop(action.name, None)
        container = self._made(action, material, network="", address="", hostname=action.hostname or action.name)
        outcome = run(action.command, self.engine.surroundings(container))
        if outcome.seconds > action.timeout:
            raise PermanentError("CommandTooSlow", command=" ".join(action.command), seconds=action.timeout)
        if outcome.code:
            output = (b"".join(outcome.stdout) + b"".join(outcome.stderr)).decode().strip().rpartition("\n")[2]
            command = " ".join(action.command)
            raise PermanentError("CommandFailed", command=command, exit_code=outcome.code, output=output)

    def _made(
        self,
        action: actions.CreateContainer | actions.RunOnce,
        material: Mapping[SecretRef, str],
        *,
        network: str,
        address: str,
        hostname: str,
    ) -> FakeContainer:
        workload = action.workload
        if workload.image not in self.engine.images:
            raise PermanentError("ImageNotFound", image=workload.image)
        missing = [action.volumes[one.name] for one in workload.volumes]
        if any(name not in self.engine.volumes for name in missing):
            raise PermanentError("EngineRefused", message="no such volume")
        return FakeContainer(
            id=self.engine.next_id(),
            name=action.name,
            labels=dict(action.labels),
            workload=workload,
            volumes=dict(action.volumes),
            network=network,
            address=address,
            hostname=hostname,
            limits=Limits(memory=workload.resources.memory, cpus=workload.resources.cpus, pids=workload.resources.pids),
            env={
                name: secret_value(value, material) if isinstance(value, SecretRef) else value
                for name, value in workload.env.items()
            },
        )

    def is_ours(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels are of this instance."""
        return labels.get("agentpod.instance") == self.instance

    def find(self, name: str) -> FakeContainer | None:
        """Find a container of ours by id or name."""
        named = self.engine.containers.get(name)
        found = named or next((one for one in self.engine.containers.values() if one.id == name), None)
        return found if found and self.is_ours(found.labels) else None

    def get(self, name: str) -> FakeContainer:
        """Give a container of ours.

        Raises:
            NotFoundError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise NotFoundError("ContainerNotFound", container=name)
        return found
