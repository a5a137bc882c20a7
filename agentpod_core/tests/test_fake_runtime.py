"""What a test can do to the fake engine does what it says."""

from __future__ import annotations

import pytest

from agentpod_core.errors import ConflictError, TemporaryError
from agentpod_core.testing.fake_runtime import FakeRuntime
from agentpod_core.testing.runtime_stage import Stage
from agentpod_core.values.actions import StartContainer
from agentpod_core.values.world import ContainerState


class TestHands:
    """What tests can do to the fake engine."""

    @pytest.fixture
    def runtime(self):
        return FakeRuntime("fakefake")

    @pytest.fixture
    def stage(self, runtime):
        return Stage(runtime=runtime, instance="fakefake", image="fake:1", subnet="10.219.0.0/26", pod_id="p1")

    async def test_an_apply_is_cut_before_its_change(self, stage, runtime):
        """A cut before leaves the world as it was."""
        await stage.create()
        runtime.engine.cut_apply()
        with pytest.raises(TemporaryError):
            await runtime.apply(StartContainer(container=stage.container, reason="test"), {})
        assert ContainerState.CREATED is (await stage.inspect()).state

    async def test_an_apply_is_cut_after_its_change(self, stage, runtime):
        """A cut after leaves the change made, and counts from the present apply."""
        await stage.create()
        runtime.engine.cut_apply(2, after=True, error=ConflictError("NameTaken", name="x"))
        action = StartContainer(container=stage.container, reason="test")
        await runtime.apply(action, {})
        await stage.runtime.inspect("x")
        with pytest.raises(ConflictError):
            await stage.stop()
        assert ContainerState.EXITED is (await stage.inspect()).state
        assert action == runtime.engine.applied[-2]

    async def test_out_of_memory_is_seen(self, stage, runtime):
        """A container that ran out of memory says so while it is down."""
        await stage.start()
        runtime.engine.holds_restarts = True
        runtime.engine.kill(stage.container, oom=True)
        seen = await stage.inspect()
        assert (seen.state, seen.oom_killed, seen.exit_code) == (ContainerState.RESTARTING, True, 137)
        runtime.engine.release(stage.container)
        seen = await stage.inspect()
        assert (seen.state, seen.oom_killed, seen.restarts) == (ContainerState.RUNNING, False, 1)

    async def test_a_container_removed_by_hand_is_gone(self, stage, runtime):
        """What somebody removes is absent, and its volumes stay."""
        await stage.start()
        runtime.engine.remove_by_hand(stage.container)
        world = await runtime.observe_pod(stage.pod_id)
        assert (world.containers, len(world.volumes)) == ((), 3)

    async def test_a_reboot_starts_what_ran(self, stage, runtime):
        """After a reboot what ran runs again, what was stopped stays down."""
        before = await stage.start()
        runtime.engine.reboot()
        after = await stage.inspect()
        assert after.state is ContainerState.RUNNING
        assert after.started_at > before.started_at
        await stage.stop()
        runtime.engine.reboot()
        assert ContainerState.EXITED is (await stage.inspect()).state

    async def test_a_paused_container_is_started_by_unpausing(self, stage, runtime):
        """Starting what is paused lets it go on, without a new start."""
        before = await stage.start()
        runtime.engine.pause(stage.container)
        assert ContainerState.PAUSED is (await stage.inspect()).state
        await runtime.apply(StartContainer(container=stage.container, reason="test"), {})
        assert before == await stage.inspect()

    async def test_the_agents_own_files_are_read(self, stage, runtime):
        """What the agent wrote is read back."""
        await stage.start()
        runtime.engine.write_as_agent(stage.container, "/data/memory", b"learned")
        assert await stage.read("/data/memory") == b"learned"

    async def test_two_instances_share_an_engine(self, stage, runtime):
        """Another instance on the same engine sees nothing of ours."""
        await stage.start()
        other = FakeRuntime("elsewher", runtime.engine)
        world, pod = await other.observe(), await other.observe_pod(stage.pod_id)
        assert (world.containers, world.networks, pod.containers, pod.volumes) == ((), (), (), ())
