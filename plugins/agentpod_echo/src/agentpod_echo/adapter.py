"""The Echo adapter: turns an ``EchoConfig`` into a workload and asks a running Echo about itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Struct

import agentpod_core as core
from agentpod_echo.config import EchoConfig
from agentpod_echo.image import IMAGE, RECIPE

Answer = TypeVar("Answer", bound=Struct)
MIB = 1024 * 1024
REFUSED = 78
"""The exit code with which the agent refuses a config that no restart mends."""


class EchoAdapter(core.AgentAdapter[EchoConfig]):
    """The smallest agent: it answers what it was told, by page, WebSocket and chat completions."""

    name: ClassVar[str] = "echo"
    title: ClassVar[str] = "Echo"
    config_type: ClassVar[type[Struct]] = EchoConfig
    generated_secrets: ClassVar[tuple[str, ...]] = ("token",)
    credential: ClassVar[str | None] = "token"
    sizes: ClassVar[dict[str, core.Resources]] = {
        "default": core.Resources(memory=128 * MIB, cpus=1000, pids=64),
        "small": core.Resources(memory=64 * MIB, cpus=500, pids=64),
    }
    request: ClassVar[int] = 16 * MIB

    def workload(self, config: EchoConfig, pod: core.Pod, package: core.Package | None) -> core.Workload:
        """Render the container."""
        del package
        if problems := config.problems():
            raise core.ConfigError(problems)
        live = {"greeting": config.greeting}
        rest = {name: getattr(config, name) for name in ("channel", "model", "reply", "script", "boot")}
        files = [
            core.File(path="/etc/echo/live.json", parts=(_json(live),), on_change=core.OnChange.LIVE),
            core.File(path="/etc/echo/config.json", parts=(_json({**rest, "api_key": config.api_key is not None}),)),
            core.File(path=f"{core.SECRETS_PATH}/token", parts=(pod.secrets["token"],), mode=0o400),
        ]
        if config.api_key is not None:
            files.append(core.File(path=f"{core.SECRETS_PATH}/api_key", parts=(config.api_key,), mode=0o400))
        return core.Workload(
            image=IMAGE,
            env={"ECHO_POD": pod.name, "ECHO_TENANT": pod.tenant},
            files=tuple(files),
            ports=(core.Port(name="http", number=8080),),
            volumes=(
                core.Volume(name="data", path="/data"),
                core.Volume(name="config", path="/etc/echo", backup=False),
            ),
            probe=core.Probe(probe="http", settings={"path": "/readyz"}, timeout=2.0, start_deadline=30.0),
            route=core.RouteSpec(port="http", refuse=("/admin",)),
            resources=pod.resources,
            request=self.request,
            stop_timeout=2.0,
            boot_cost=config.boot.burn,
            permanent_exits=(REFUSED,),
            restart_when_full=True,
        )

    def recognise(self, image: str, command: tuple[str, ...], env: dict[str, str]) -> bool:
        """Recognise the image by its name."""
        del command, env
        return image.rpartition("/")[2].startswith("agentpod-echo:")

    def repair(self, exit_code: int) -> core.Repair | None:
        """Explain the refusal of a config; there is nothing to run."""
        return core.Repair(reason="EchoRefusedConfig") if exit_code == REFUSED else None

    def recipe(self) -> core.ImageRecipe | None:
        """Build from Debian's packages and the program in this distribution."""
        return RECIPE

    async def inspect(self, link: core.Link) -> core.AgentReport:
        """Read the agent's own health page."""
        seen = await _get(link, "/healthz", Health)
        channels = ("web", "model") if seen.channel == "all" else (seen.channel,)
        return core.AgentReport(
            version=seen.version,
            model=seen.model,
            model_ready=seen.ready,
            channels=tuple(core.ChannelReport(name=one, configured=True, connected=seen.ready) for one in channels),
            sessions=seen.conversations,
        )

    async def usage(self, link: core.Link, since: str) -> list[core.TokenUsage]:
        """Read the agent's own account; words cost nothing."""
        days = (await _get(link, "/usage", Account)).items
        tokens = ((row.day, row.input_tokens, row.output_tokens) for row in days if row.day >= since)
        return [core.TokenUsage(day=day, input_tokens=read, output_tokens=said, cost=0) for day, read, said in tokens]


class Health(Struct, frozen=True, kw_only=True):
    """What ``/healthz`` says."""

    ready: bool
    version: str
    model: str
    channel: str
    conversations: int


class Day(Struct, frozen=True, kw_only=True):
    """One row of ``/usage``."""

    day: str
    input_tokens: int
    output_tokens: int


class Account(Struct, frozen=True, kw_only=True):
    """What ``/usage`` says."""

    items: list[Day]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _get(link: core.Link, path: str, kind: type[Answer]) -> Answer:
    reply = await link.http("GET", path)
    if reply.status != HTTPStatus.OK:
        raise core.TemporaryError("WrongAnswer", what=f"{path}: status {reply.status}")
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.DecodeError as error:
        raise core.TemporaryError("WrongAnswer", what=f"{path}: {error}") from error
