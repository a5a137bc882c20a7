"""Makes what the platform gets to see of an offer: every method of its plug point, guarded and bounded in time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, get_type_hints

from agentpod_core.errors import AgentPodError, TemporaryError
from agentpod_core.host.guarding import Guard
from agentpod_core.host.kinds import Kind, Offer
from agentpod_core.host.redaction import Redactor
from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.actions import ObtainImage, RunOnce, StopContainer

_USUAL: Final = 150.0
"""Seconds that any other call may take: more than a runtime's own bounds, whose words say better what is amiss."""
_LONG: Final = 7200.0
"""Seconds for what loads or builds an image, or measures volumes; whoever does it has tighter bounds of its own."""
_SEND: Final = 60.0
"""Seconds that a message may take: a notifier has to end in half of that."""
_FACTS: Final = ("name", "title", "settings_type", "target_type", "gathers")
_ABOVE: Final = 1.0
"""Seconds on top of the time that a call was given."""


def fenced(offer: Offer, guard: Guard, learn: Callable[[str], None]) -> Any:
    """Give a stand-in that passes on every call, guarded; ``learn`` is told the secrets that pass a store."""
    if not isinstance(offer.thing, Impure):
        return offer.thing
    methods = {name: _passing(offer, guard, name, learn) for name in _calls(offer.kind)}
    return _made(offer.kind, offer.thing, methods)


def absent(kind: Kind, name: str, error: AgentPodError) -> Any:
    """Give a stand-in for what nobody offers: each of its methods says what is missing."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise TemporaryError(error.reason, **error.params)

    async def refuse_later(*_: Any, **__: Any) -> Any:
        refuse()

    async def tell_nothing(*_: Any, **__: Any) -> AsyncIterator[Any]:
        await asyncio.get_running_loop().create_future()
        yield

    methods: dict[str, Any] = {"name": name}
    for call in _calls(kind):
        is_later = inspect.iscoroutinefunction(getattr(kind.type, call))
        # Who follows what happens would only ask again and again.
        methods[call] = tell_nothing if call == "watch" else refuse_later if is_later else refuse
    return _made(kind, None, methods)


def _made(kind: Kind, thing: Any, methods: dict[str, Any]) -> Any:
    facts = {name: getattr(thing, name) for name in _FACTS if hasattr(thing, name)} if thing else {}
    return type(f"Fenced{kind.type.__name__}", (kind.type,), facts | methods)()


def _calls(kind: Kind) -> list[str]:
    return [name for name, found in vars(kind.type).items() if inspect.isfunction(found) and not name.startswith("_")]


def _yields(kind: Kind, call: str) -> bool:
    return getattr(get_type_hints(getattr(kind.type, call))["return"], "__origin__", None) is AsyncIterator


def _passing(offer: Offer, guard: Guard, call: str, learn: Callable[[str], None]) -> Any:
    if _yields(offer.kind, call):

        def iterated(_: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            return guard.iterated(offer, call, lambda: getattr(offer.thing, call)(*args, **kwargs))

        return iterated
    if not inspect.iscoroutinefunction(getattr(offer.kind.type, call)):

        def called(_: Any, *args: Any, **kwargs: Any) -> Any:
            return guard.called(offer, call, lambda: getattr(offer.thing, call)(*args, **kwargs))

        return called

    async def awaited(_: Any, *args: Any, **kwargs: Any) -> Any:
        if offer.kind.name == "secret_store" and call == "put":
            learn(kwargs["value"] if "value" in kwargs else args[-1])
        if call == "build":
            args, kwargs = _telling_clean(guard.redactor, args, kwargs)
        seconds = _limit(call, args, kwargs)
        found = await guard.awaited(offer, call, lambda: getattr(offer.thing, call)(*args, **kwargs), seconds)
        if offer.kind.name == "secret_store" and call == "get":
            learn(found)
        return found

    return awaited


def _telling_clean(
    redactor: Redactor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Have what long work tells of its progress cleaned."""
    recipe, progress = (*args, *kwargs.values())
    return (recipe, lambda line: progress(redactor.clean(str(line)))), {}


def _limit(call: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Give the seconds that a call may take."""
    if call in {"build", "storage"}:
        return _LONG
    if call == "send":
        return _SEND
    if "timeout" in kwargs:
        return float(kwargs["timeout"]) + (_ABOVE if call == "check" else _USUAL)
    if call == "apply" and args:
        if isinstance(args[0], ObtainImage):
            return _LONG
        if isinstance(args[0], StopContainer | RunOnce):
            return args[0].timeout + _USUAL
    return _USUAL
