"""Pods whose adapter or probe cannot be had: they run on and are healed, and say what they miss."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.errors import NotFoundError
from agentpod_core.observed import Lack
from agentpod_core.values.status import ConditionType, Phase

GONE = {"name": "any", "plugin": "zoo", "distribution": "agentpod-zoo", "version": "1.2"}


def missing(_name: str) -> Any:
    """Offer no probe."""
    raise NotFoundError("PluginGone", **GONE)


async def test_a_pod_without_its_probe_is_as_well_as_its_container(rig: Any) -> None:
    """The container's life decides, readiness is unknown, and the condition names what is missing."""
    controller = rig.controller
    rig.controller = lambda *args, **pace: without_probe(controller(*args, **pace))
    async with rig.running():
        pod_id = await rig.add()

        async def runs() -> bool:
            status = await rig.status(pod_id)
            return status.phase is Phase.RUNNING

        await rig.until(runs)
        status = await rig.status(pod_id)
        ready = status.condition(ConditionType.READY)
        assert (status.ready, ready.status, ready.reason, ready.params) == (False, None, "PluginGone", GONE)
        before = rig.container(pod_id).id
        rig.engine.remove_by_hand(rig.container(pod_id).name)
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).id != before)
        await rig.until(runs)


def without_probe(controller: Controller) -> Controller:
    """Take a controller's probes away."""
    controller._prober._probe = missing
    return controller


async def test_a_pod_without_its_adapter_says_so_and_takes_it_back(rig: Any) -> None:
    """A running pod gets a condition soon after its adapter is gone, and loses it when the adapter is there again."""
    lacks: dict[str, Lack] = {}
    parts = rig.controller()._parts
    given = {"resync": 0.1, "renew": 0.05, "lease": 1.0, "margin": 0.1, "slots": 1, "scale": 0.01}

    def controller(*_: Any, **__: Any) -> Controller:
        own: Parts = replace(parts, adapter_lack=lacks.get)
        return Controller(own, holder="one", probe=lambda _: rig.health, links=Links(), pace=Pace(**given))

    class Links:
        def link(self, pod: Any, endpoint: Any, container: Any) -> Any:
            class Line:
                pod_id = pod.id

            return Line()

    rig.controller = controller
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        status = await rig.status(pod_id)
        assert status.condition(ConditionType.UP_TO_DATE) is None
        adapter = (await rig.store.pod(pod_id)).spec.adapter
        lacks[adapter] = Lack(reason="PluginGone", params=GONE)

        async def told() -> bool:
            found = (await rig.status(pod_id)).condition(ConditionType.UP_TO_DATE)
            return found is not None and (found.status, found.reason, found.params) == (None, "PluginGone", GONE)

        await rig.until(told)
        assert (await rig.status(pod_id)).phase is Phase.RUNNING
        lacks.clear()

        async def taken_back() -> bool:
            return (await rig.status(pod_id)).condition(ConditionType.UP_TO_DATE) is None

        await rig.until(taken_back)
