"""What an operator may say about an Echo pod; forms, API and ``--set`` are made from this."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agentpod_core import Problem, SecretRef


class Channel(StrEnum):
    """Where the agent may be talked to."""

    ALL = "all"
    WEB = "web"
    MODEL = "model"


class Boot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How heavy a start pretends to be: what tests and benches turn."""

    seconds: Annotated[float, Meta(title="Waiting (s)", description="Seconds until ready.", ge=0, le=600)] = 0.0
    burn: Annotated[float, Meta(title="Burning (s)", description="CPU seconds until ready.", ge=0, le=600)] = 0.0


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the model's script: the first whose ``when`` occurs in the message answers."""

    when: Annotated[str, Meta(title="When the message contains", min_length=1, max_length=200)]
    reply: Annotated[str, Meta(title="Answer", max_length=4000)]


class EchoConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The config of the Echo agent; every field has a default."""

    greeting: Annotated[
        str, Meta(title="Greeting", description="Shown on the page; a change needs no restart.", max_length=500)
    ] = "Hello! Say something and I will say it back."
    channel: Annotated[
        Channel,
        Meta(
            title="Channel",
            description="The web page and WebSocket, the model endpoint, or all of them.",
            extra_json_schema={"x-agentpod-channel": True},
        ),
    ] = Channel.ALL
    model: Annotated[str, Meta(title="Model name", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "scripted-1"
    reply: Annotated[
        str, Meta(title="Answer", description="{message} stands for what the user said last.", max_length=4000)
    ] = "You said: {message}"
    script: Annotated[tuple[Line, ...], Meta(title="Script", max_length=50)] = ()
    api_key: Annotated[
        SecretRef | None,
        Meta(title="Model API key", description="Asked of the model's clients; without it any key will do."),
    ] = None
    boot: Annotated[Boot, Meta(title="Boot")] = Boot()

    def problems(self) -> list[Problem]:
        """List what the schema cannot say: a line of the script that an earlier one hides."""
        whens = [line.when for line in self.script]
        return [
            Problem(
                path=f"$.script[{at}].when",
                reason="EchoLineRepeated",
                params={"when": when},
                message=f"an earlier line answers {when!r} already",
            )
            for at, when in enumerate(whens)
            if when in whens[:at]
        ]
