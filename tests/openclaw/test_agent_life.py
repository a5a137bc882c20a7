"""What happens to a customer's OpenClaw over time: a changed config, a broken one, a small plan."""

from __future__ import annotations

import json

import pytest

from agentpod_openclaw.client import Conversation

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

LOCAL = "127.0.0.1"
REPLY = "A reply by script."
CONFIG = "/home/node/.openclaw/openclaw.json"
GIB = 1024**3


def config(agent) -> dict:
    """Read the agent's configuration as it lies in its volume."""
    return json.loads(agent.run("cat", CONFIG))


def write_config(agent, text: str) -> None:
    """Put another configuration in its place, as an agent or its owner may."""
    agent.run("node", "-e", f"require('fs').writeFileSync('{CONFIG}', {json.dumps(text)})")


def phase(agent) -> str:
    """Say in which phase the pod is."""
    return agent.platform.json("pod", "get", agent.name)["status"]["phase"]


def last_event(agent) -> int:
    """Give the number of the newest event."""
    return max(event["seq"] for event in agent.platform.json("pod", "events", agent.name))


def repairs(agent, since: int) -> list[str]:
    """List the repairs that events tell of since then, and what went wrong with them."""
    events = agent.platform.json("pod", "events", agent.name, "--after", str(since))
    return [event["reason"] for event in events if event["reason"] in ("Repairing", "CommandFailed", "CommandTooSlow")]


def is_refused(agent) -> bool:
    """Say whether the pod is blocked for a configuration that OpenClaw refuses."""
    status = agent.platform.json("pod", "get", agent.name)["status"]
    return (status["phase"], status["reason"]) == ("blocked", "OpenClawConfigRefused")


def test_a_changed_config_reaches_the_running_agent(openclaw, wait_until) -> None:
    """A config change is merged into what the agent made of its file, and nothing is started anew."""
    before = openclaw.container
    own = config(openclaw) | {"messages": {"responsePrefix": "[Ada]"}}
    write_config(openclaw, json.dumps(own))
    openclaw.platform.agentpod("pod", "config", "set", openclaw.name, "heartbeat=2h")
    wait_until(
        lambda: config(openclaw)["agents"]["defaults"]["heartbeat"] == {"every": "2h"},
        seconds=30,
        what="the change is in the agent's file",
    )
    assert config(openclaw)["messages"] == {"responsePrefix": "[Ada]"}
    assert openclaw.container["State"]["StartedAt"] == before["State"]["StartedAt"]
    openclaw.platform.agentpod("pod", "config", "set", openclaw.name, "heartbeat=0m")


def test_channels_are_on_again_after_crashes(openclaw, wait_until) -> None:
    """After three unclean starts in 300 s OpenClaw leaves its channels off; once it is ready they are switched on."""
    telegram = {"enabled": True, "botToken": "123456:nobodys", "dmPolicy": "allowlist", "allowFrom": ["1"]}
    write_config(openclaw, json.dumps(config(openclaw) | {"channels": {"telegram": telegram}}))
    wait_until(lambda: is_on(openclaw, "telegram"), seconds=60, what="the channel is on")
    for _ in range(3):
        before = openclaw.container["State"]["StartedAt"]
        openclaw.crash()
        wait_until(lambda: is_up(openclaw, since=before), seconds=120, what="the gateway is up again")  # noqa: B023
    told = openclaw.platform.agentpod("pod", "logs", openclaw.name, "--tail", "500").stdout
    assert "restart-loop breaker tripped" in told
    wait_until(lambda: is_on(openclaw, "telegram"), seconds=60, what="the channel is on again")
    own = config(openclaw)
    del own["channels"]
    write_config(openclaw, json.dumps(own))
    openclaw.platform.agentpod("pod", "restart", openclaw.name)


def is_up(agent, *, since: str) -> bool:
    """Say whether a gateway that was started after ``since`` answers."""
    is_new = agent.container["State"]["StartedAt"] != since
    return is_new and agent.platform.get("support-acme.localhost", "/readyz").status_code == 200


def is_on(agent, channel: str) -> bool:
    """Say whether a channel has an account that runs."""
    accounts = agent.ask("channels.status")["channelAccounts"].get(channel, [])
    return any(account["running"] for account in accounts)


def test_a_config_that_the_gateway_refuses_is_repaired(openclaw, wait_until) -> None:
    """An unknown key, with which the gateway refuses to start, costs one repair and nobody's attention."""
    own, before, since = config(openclaw), openclaw.container, last_event(openclaw)
    write_config(openclaw, json.dumps(own | {"nonsense": True}))
    openclaw.platform.agentpod("pod", "restart", openclaw.name, "--no-wait")
    wait_until(lambda: repairs(openclaw, since), seconds=120, what="a repair is told of")
    wait_until(lambda: phase(openclaw) == "running", seconds=180, what="it runs as before")
    assert repairs(openclaw, since) == ["Repairing"]
    after = openclaw.container
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]
    assert len(openclaw.containers()) == 1
    # It was ended as it wants to be: the signal reaches the gateway.
    assert "received SIGTERM" in openclaw.platform.agentpod("pod", "logs", openclaw.name, "--tail", "500").stdout
    # The secrets were there for the repair: of what AgentPod answers for nothing was made up or left out.
    mended = config(openclaw)
    assert "nonsense" not in mended
    for part in ("gateway", "secrets", "models"):
        assert mended[part] == own[part]
    assert mended["agents"]["defaults"] == own["agents"]["defaults"]


def test_a_config_beyond_repair_blocks_until_it_is_set(openclaw, wait_until) -> None:
    """What cannot be repaired is not tried for ever; setting the config brings the agent back."""
    since = last_event(openclaw)
    write_config(openclaw, "{ this is no configuration")
    # Its repair would go back to the last one that worked.
    openclaw.run("sh", "-c", f"rm -f {CONFIG}.*")
    openclaw.platform.agentpod("pod", "restart", openclaw.name, "--no-wait")
    wait_until(lambda: is_refused(openclaw), seconds=180, what="the pod is blocked")
    assert repairs(openclaw, since).count("Repairing") == 1
    assert openclaw.container["State"]["Status"] == "exited"
    openclaw.platform.agentpod("pod", "config", "set", openclaw.name, "heartbeat=1h")
    wait_until(lambda: phase(openclaw) == "running", seconds=120, what="it runs again")


def test_a_small_agent_talks(openclaw, add_openclaw) -> None:
    """With 1 GiB the agent answers, lets a browser in beside that, and is not ended for want of memory."""
    small = add_openclaw("acme/small", "--size", "small")
    assert small.container["HostConfig"]["Memory"] == GIB
    with Conversation(small.link(), dial=LOCAL) as conversation:
        for _ in range(3):
            assert REPLY in conversation.say("Hello")
    with Conversation(small.link(), dial=LOCAL) as conversation:
        assert REPLY in conversation.say("Hello again")
    state = small.container["State"]
    assert (state["Status"], state["OOMKilled"], small.container["RestartCount"]) == ("running", False, 0)
    small.platform.agentpod("pod", "delete", small.name, "--yes")


def test_less_memory_is_refused(openclaw) -> None:
    """A pod with less memory than an answer takes is refused, and the refusal says how much it needs."""
    refused = openclaw.platform.agentpod(
        "pod", "create", "acme/tiny", "--adapter", "openclaw", "--memory", "512m",
        "--set", "provider=openai-compatible", "--set", "model=m", "--set", "base_url=http://model-acme:8080/v1",
        check=None,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "1 GiB" in refused.stderr
    assert openclaw.platform.agentpod("pod", "get", "acme/tiny", check=3)
