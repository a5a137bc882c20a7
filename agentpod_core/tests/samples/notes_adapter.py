"""An adapter that uses all that the plug point gives, and does it right; a probe for it, and configs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

from agentpod_core import (
    SECRETS_PATH,
    AgentAdapter,
    AgentReport,
    Door,
    File,
    HealthProbe,
    ImageRecipe,
    OnChange,
    Port,
    Probe,
    ProbeResult,
    Repair,
    Resources,
    RouteSpec,
    SecretRef,
    TemporaryError,
    TokenUsage,
    Volume,
    Workload,
)

KEY = SecretRef(key="notes")
IMAGE = "example/notes:1.4"
DAYS = [{"day": "2026-01-01", "tokens": 5}, {"day": "2026-01-02", "tokens": 7}]


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    token: SecretRef


class NotesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator fills in to run Notes."""

    model: Annotated[str, Meta(title="Model", examples=["sonnet"])]
    api_key: Annotated[SecretRef, Meta(title="API key")]
    workers: Annotated[int, Meta(ge=1, le=16)] = 2
    note: str | None = None
    channels: tuple[Channel, ...] = ()


class Says(Struct):
    """What the program answers."""

    version: str
    days: list[dict[str, int | str]]


class NotesAdapter(AgentAdapter[NotesConfig]):
    name: ClassVar[str] = "notes"
    title: ClassVar[str] = "Notes"
    config_type: ClassVar[type[Struct]] = NotesConfig
    config_version: ClassVar[int] = 2
    generated_secrets: ClassVar[tuple[str, ...]] = ("token",)
    credential: ClassVar[str | None] = "token"
    sizes: ClassVar[dict[str, Resources]] = {"default": Resources(memory=2**28)}
    request: ClassVar[int] = 2**27

    def workload(self, config, pod, package):
        files = [
            File(path=f"{SECRETS_PATH}/key", parts=(config.api_key,)),
            File(path=f"{SECRETS_PATH}/token", parts=(pod.secrets["token"],)),
            File(path="/data/notes.json", parts=("{}",), on_change=OnChange.MERGED),
        ]
        return Workload(
            image=IMAGE,
            env={"MODEL": config.model, "WORKERS": str(config.workers)},
            files=tuple(files),
            ports=(Port(name="http", number=8080),),
            volumes=(Volume(name="data", path="/data"),),
            probe=Probe(probe="ping", settings={"path": "/"}),
            route=RouteSpec(port="http"),
            permanent_exits=(78,),
        )

    def upgrade(self, version, raw):
        return {**{key: raw[key] for key in raw if key != "llm"}, "model": raw["llm"]} if version == 1 else raw

    def merge(self, file, current, wanted):
        return current if current.endswith(wanted) else current + wanted

    def recognise(self, image, command, env):
        return image.startswith("example/notes:")

    def repair(self, exit_code):
        return Repair(reason="InvalidConfig") if exit_code == 78 else None

    def recipe(self):
        return ImageRecipe(image=IMAGE)

    async def inspect(self, link):
        return AgentReport(version=(await self._ask(link)).version)

    async def usage(self, link, since):
        seen = [(str(one["day"]), int(one["tokens"])) for one in (await self._ask(link)).days]
        return [TokenUsage(day=day, input_tokens=count, output_tokens=0, cost=0) for day, count in seen if day >= since]

    async def after_heal(self, link):
        if (await link.exec(("resume",))).code:
            raise TemporaryError("Unreachable")

    async def open_door(self, link, pod):
        done = await link.exec(("door",))
        if done.code or not done.stdout.startswith(b"/"):
            raise TemporaryError("Unreachable")
        return Door(path=done.stdout.decode(), expires_at=datetime(2030, 1, 1, tzinfo=UTC))

    async def _ask(self, link):
        try:
            return msgspec.json.decode((await link.http("GET", "/")).body, type=Says)
        except msgspec.DecodeError:
            raise TemporaryError("WrongAnswer", what="/") from None


class Ping(HealthProbe):
    name: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping"

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return ProbeResult(alive=True, ready=True, reason="Answering")


CONFIGS = [
    NotesConfig(model="sonnet", api_key=KEY),
    NotesConfig(model="opus", api_key=KEY, workers=5, channels=(Channel(name="a, b", token=SecretRef(key="c")),)),
]
