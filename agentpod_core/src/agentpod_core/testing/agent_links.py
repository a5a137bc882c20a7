"""Facts of the adapter contract about what talks with a running agent: reports, usage, doors, and sick agents."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from agentpod_core.errors import NotFoundError, TemporaryError
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.link import ExecResult, Link, Reply
from agentpod_core.testing.fake_link import FakeLink
from agentpod_core.testing.offers import OfferContract
from agentpod_core.testing.parts import Part, needs, overrides, to_define
from agentpod_core.values.pods import Pod
from agentpod_core.values.reports import AgentReport, Door

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class _Babbling(FakeLink):
    """An agent that answers everything alike, and nothing that was asked for."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    async def http(self, *_: Any, **__: Any) -> Reply:
        return Reply(status=200, body=self._answer)

    async def exec(self, *_: Any, **__: Any) -> ExecResult:
        return ExecResult(code=0, stdout=self._answer)


_SICK: dict[str, Callable[[], FakeLink]] = {
    "unreachable": lambda: FakeLink(unreachable=True),
    "not what it was": FakeLink,
    "babbling": lambda: _Babbling(b"<html>what?</html>"),
    "of another version": lambda: _Babbling(b'{"unexpected": true}'),
}


def _overrides(method: str) -> Any:
    return lambda request: overrides(request.getfixturevalue("adapter"), AgentAdapter, method)


class LinkFacts(OfferContract):
    """What holds for an adapter that talks with its agent."""

    inspects: ClassVar[bool | None] = None
    counts_usage: ClassVar[bool | None] = None
    heals: ClassVar[bool | None] = None
    opens_doors: ClassVar[bool | None] = None

    parts: ClassVar[tuple[Part, ...]] = (
        Part(flag="inspects", uncovered="what it reports of a running agent", shown_by=_overrides("inspect")),
        Part(flag="counts_usage", uncovered="tokens and cost", shown_by=_overrides("usage")),
        Part(flag="heals", uncovered="what it does after an unclean start", shown_by=_overrides("after_heal")),
        Part(flag="opens_doors", uncovered="its links for browsers", shown_by=_overrides("open_door")),
    )

    @to_define
    def agent(self) -> Link:
        """A link to an agent that is well, answers what the adapter asks, and used tokens once."""
        raise NotImplementedError

    @needs("inspects")
    async def test_a_report_says_something(self, adapter: AgentAdapter[Any], agent: Link) -> None:
        """An agent that is well has something to say of itself."""
        report = await adapter.inspect(agent)
        assert isinstance(report, AgentReport)
        assert report != AgentReport()

    @needs("counts_usage")
    async def test_usage_is_given_by_days_since(self, adapter: AgentAdapter[Any], agent: Link) -> None:
        """Each day since the one that was asked for stands once, with numbers that are none below zero."""
        rows = await adapter.usage(agent, "0001-01-01")
        assert rows, "`agent` must have used something"
        days = [row.day for row in rows]
        assert [day for day in days if not _DAY.fullmatch(day)] == []
        assert len(set(days)) == len(days)
        assert [row for row in rows if min(row.input_tokens, row.output_tokens, row.cost) < 0] == []
        last = max(days)
        assert [row.day for row in await adapter.usage(agent, last)] == [last]

    @needs("heals")
    async def test_healing_can_be_repeated(self, adapter: AgentAdapter[Any], agent: Link) -> None:
        """What is brought back after an unclean start may be there already."""
        assert overrides(adapter, AgentAdapter, "after_heal")
        await adapter.after_heal(agent)
        await adapter.after_heal(agent)

    @needs("opens_doors")
    async def test_a_door_is_a_path_without_the_credential(
        self, adapter: AgentAdapter[Any], agent: Link, pod: Pod
    ) -> None:
        """A link for a browser lies below the pod's origin, ends at some time, and holds no lasting secret."""
        door = await adapter.open_door(agent, pod)
        assert isinstance(door, Door)
        assert door.path.startswith("/")
        assert not door.path.startswith("//")
        assert door.expires_at.tzinfo is not None
        for name in adapter.generated_secrets:
            with suppress(NotFoundError):
                assert agent.credential(name) not in door.path

    @pytest.mark.parametrize("agent_is", _SICK)
    async def test_a_sick_agent_is_temporary(self, adapter: AgentAdapter[Any], pod: Pod, agent_is: str) -> None:
        """Of an agent that cannot answer nothing is known, or a TemporaryError says why; nothing else is raised."""
        link = _SICK[agent_is]()
        link.credentials = dict.fromkeys(adapter.generated_secrets, "a-secret")
        for call in (
            lambda: adapter.inspect(link),
            lambda: adapter.usage(link, "0001-01-01"),
            lambda: adapter.after_heal(link),
            lambda: adapter.open_door(link, pod),
        ):
            with suppress(TemporaryError):
                await call()
