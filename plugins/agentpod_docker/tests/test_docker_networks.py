"""A network that the engine keeps although nobody is in it, which no real engine does on demand (moby/moby#42119)."""

from __future__ import annotations

from typing import Any

import pytest

from agentpod_core import RemoveNetwork, TemporaryError
from agentpod_docker import networks
from agentpod_docker.engine import Refused

REMOVE = RemoveNetwork(name="aptestabcd-1", reason="test")


class Keeping:
    """An engine that refuses to remove its only network so many times; ``inside`` is what it shows in it."""

    def __init__(self, *, refusals: int, inside: dict[str, Any]) -> None:
        self.refusals = refusals
        self.inside = inside
        self.asked: list[str] = []

    async def json(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append(f"{method} {path}")
        if method == "DELETE":
            self.refusals -= 1
            if self.refusals >= 0:
                raise Refused(403, "error while removing network: network x has active endpoints")
            return None
        if path == "networks":
            return [{"Id": "x", "Name": REMOVE.name, "Labels": {"agentpod.instance": "testabcd"}}]
        return {"Containers": self.inside}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing."""
    monkeypatch.setattr(networks, "PAUSE", 0.0)


async def test_a_network_that_the_engine_lost_count_of_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Its tenant must not stay for ever because of it; the log says what is left."""
    engine = Keeping(refusals=99, inside={})
    await networks.remove_network(engine, "testabcd", REMOVE)  # type: ignore[arg-type]
    assert engine.asked.count("DELETE networks/x") == networks.TRIES
    assert REMOVE.name in caplog.text


async def test_a_network_that_is_in_use_for_a_moment_goes() -> None:
    """What is on its way out is waited for."""
    engine = Keeping(refusals=1, inside={})
    await networks.remove_network(engine, "testabcd", REMOVE)  # type: ignore[arg-type]
    assert engine.refusals == -1


async def test_a_network_with_containers_stays() -> None:
    """Whoever wants it gone tries again once they are gone."""
    with pytest.raises(TemporaryError) as caught:
        await networks.remove_network(Keeping(refusals=1, inside={"c": {}}), "testabcd", REMOVE)  # type: ignore[arg-type]
    assert caught.value.reason == "ObjectInUse"
