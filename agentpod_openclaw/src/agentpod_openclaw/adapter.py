"""The OpenClaw adapter: turns an ``OpenClawConfig`` into a workload and talks with the gateway that runs in it."""

from __future__ import annotations

import json
from typing import ClassVar

from msgspec import Struct

import agentpod_core as core
from agentpod_openclaw import door, gateway, render
from agentpod_openclaw.config import OpenClawConfig
from agentpod_openclaw.image import DOCTOR, IMAGE, RECIPE
from agentpod_openclaw.seen import Seen

MIB = 1024 * 1024
SMALLEST = 1024 * MIB
SMALLEST_WHOLE = 1536 * MIB
"""Below this the first chat turn ends out of memory, unless plugins are trimmed; below ``SMALLEST`` even then."""

CONFIG_REFUSED = 78


class OpenClawAdapter(core.AgentAdapter[OpenClawConfig]):
    """Runs OpenClaw's gateway in token mode, with its web interface at the pod's address."""

    name: ClassVar[str] = "openclaw"
    title: ClassVar[str] = "OpenClaw"
    config_type: ClassVar[type[Struct]] = OpenClawConfig
    generated_secrets: ClassVar[tuple[str, ...]] = (gateway.TOKEN,)
    credential: ClassVar[str | None] = gateway.TOKEN
    sizes: ClassVar[dict[str, core.Resources]] = {
        "default": core.Resources(memory=2048 * MIB, cpus=2000, pids=512),
        "small": core.Resources(memory=1024 * MIB, cpus=1000, pids=512),
    }
    boot_cost: ClassVar[float] = 20.0
    request: ClassVar[int] = 768 * MIB

    def workload(self, config: OpenClawConfig, pod: core.Pod, package: core.Package | None) -> core.Workload:
        """Render the container."""
        del package
        memory = pod.resources.memory
        if problems := [*config.problems(), *_memory_problems(memory)]:
            raise core.ConfigError(problems)
        is_trimmed = memory is not None and memory < SMALLEST_WHOLE
        env: dict[str, str | core.SecretRef] = {}
        if is_trimmed:
            env["NODE_OPTIONS"] = render.SMALL_HEAP
        rendered = json.dumps(render.gateway_config(config, pod, is_trimmed=is_trimmed), indent=2) + "\n"
        return core.Workload(
            image=IMAGE,
            env=env,
            files=(
                core.File(path=render.CONFIG_FILE, parts=(rendered,), on_change=core.OnChange.MERGED),
                core.File(
                    path=render.SECRETS_FILE,
                    parts=render.secrets_parts(render.secrets_of(config, pod)),
                    quote=core.Quote.JSON,
                    mode=0o400,
                ),
                *_seeds(config),
            ),
            ports=(core.Port(name="gateway", number=render.PORT),),
            volumes=(core.Volume(name="state", path=render.STATE),),
            probe=core.Probe(
                probe="openclaw", interval=10.0, start_interval=0.2, timeout=5.0, failures=3, start_deadline=150.0
            ),
            route=core.RouteSpec(
                port="gateway",
                refuse=(gateway.RPC_PREFIX, "/tools/invoke", *(() if config.openai_api else ("/v1",))),
                attribute_loopback=True,
            ),
            resources=pod.resources,
            request=self.request,
            # The image brings its own init.
            security=core.Security(tmpfs={"/tmp": 256 * MIB}, init=False),  # noqa: S108 - a path in the container
            stop_timeout=30.0,
            boot_cost=self.boot_cost,
            permanent_exits=(CONFIG_REFUSED,),
            # Its sessions are on disk, and an end in a quiet moment is a clean one; the kernel's is not.
            restart_when_full=True,
        )

    def merge(self, file: core.File, current: bytes, wanted: bytes) -> bytes:
        """Renew the managed part of ``openclaw.json`` and keep what the agent or its owner added."""
        return render.merged(current, wanted) if file.path == render.CONFIG_FILE else wanted

    def recognise(self, image: str, command: tuple[str, ...], env: dict[str, str]) -> bool:
        """Recognise it by image, command or environment."""
        return "openclaw" in image or any("openclaw" in part for part in command) or "OPENCLAW_STATE_DIR" in env

    def repair(self, exit_code: int) -> core.Repair | None:
        """Have a refused configuration repaired by OpenClaw itself; one that is refused then stays refused."""
        if exit_code != CONFIG_REFUSED:
            return None
        return core.Repair(reason="OpenClawConfigRefused", command=DOCTOR)

    def recipe(self) -> core.ImageRecipe | None:
        """Build from Debian's and npm's packages."""
        return RECIPE

    async def inspect(self, link: core.Link) -> core.AgentReport:
        """Ask the gateway for version, model, channels and sessions."""
        status = await gateway.call(link, "status")
        channels = await gateway.call(link, "channels.status")
        sessions = status.at("sessions")
        is_degraded = status.at("modelRuntime").get("degraded", bool)
        return core.AgentReport(
            version=status.get("runtimeVersion", str),
            model=sessions.at("defaults").get("model", str),
            model_ready=None if is_degraded is None else not is_degraded,
            channels=tuple(
                _channel(name, channel, channels.at("channelAccounts").each(name))
                for name, channel in channels.at("channels").items()
            ),
            sessions=sessions.get("count", int),
        )

    async def after_heal(self, link: core.Link) -> None:
        """Switch on what is configured and off: after some unclean starts OpenClaw leaves all channels so.

        One that does not start keeps none of the others off; the first trouble is raised once all were tried.
        """
        channels = await gateway.call(link, "channels.status")
        trouble: core.AgentPodError | None = None
        for name, channel in channels.at("channels").items():
            if not channel.get("configured", bool):
                continue
            for account in channels.at("channelAccounts").each(name):
                if not account.get("enabled", bool) or account.get("running", bool):
                    continue
                try:
                    await _start(link, name, account.get("accountId", str))
                except core.AgentPodError as error:
                    trouble = trouble or error
        if trouble:
            raise trouble

    async def open_door(self, link: core.Link, pod: core.Pod) -> core.Door | None:
        """Have OpenClaw issue its own single-use grant for a browser's owner, and put it into a link.

        The grant is bound to the first browser that redeems it, holds no gateway token, and is good
        for ten minutes.
        """
        del pod
        return await door.issue(link)


async def _start(link: core.Link, channel: str, account: str | None) -> None:
    """Start one account of a channel; one that OpenClaw skips has its reasons, and is shown with them elsewhere."""
    params = {"channel": channel} if account is None else {"channel": channel, "accountId": account}
    outcome = (await gateway.call(link, "channels.start", params)).at("outcome")
    if outcome.get("status", str) == "retry":
        reason = outcome.get("reason", str) or "retry"
        raise core.TemporaryError("OpenClawRefused", method="channels.start", code=reason)


def _channel(name: str, channel: Seen, accounts: list[Seen]) -> core.ChannelReport:
    """Report one channel; whether it is connected stands with its accounts."""
    connected = [account.get("connected", bool) for account in accounts if account.get("enabled", bool)]
    words = (account.get("lastError", str) or account.get("lifecycle", str) for account in accounts)
    return core.ChannelReport(
        name=name,
        configured=channel.get("configured", bool) is True,
        connected=None if not connected or None in connected else all(connected),
        detail=channel.get("lastError", str) or next(filter(None, words), ""),
    )


def _seeds(config: OpenClawConfig) -> tuple[core.File, ...]:
    """Seed the identity where the agent has none yet; what it made of it since is its own."""
    name = f"# Identity\n\nName: {config.agent_name}" if config.agent_name else ""
    texts = {"SOUL.md": config.soul, "IDENTITY.md": name}
    return tuple(
        core.File(
            path=f"{render.WORKSPACE}/{file}", parts=(f"{text.rstrip()}\n",), on_change=core.OnChange.LIVE, once=True
        )
        for file, text in texts.items()
        if text.strip()
    )


def _memory_problems(memory: int | None) -> list[core.Problem]:
    if memory is None or memory >= SMALLEST:
        return []
    params = {"memory": core.format_bytes(memory), "smallest": core.format_bytes(SMALLEST)}
    message = f"{params['memory']} is too little: OpenClaw needs {params['smallest']}"
    return [core.Problem(path="$.memory", reason="OpenClawTooLittleMemory", params=params, message=message)]
