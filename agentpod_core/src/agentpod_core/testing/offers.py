"""What holds for whatever a plugin offers: a name, a title, an entry point that leads to it, a quiet end."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from agentpod_core.host import Host
from agentpod_core.host.kinds import KINDS
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.parts import Part, needs, parts_of
from agentpod_core.values.names import SLUG


def is_offered(host: Host, implementation: Any) -> bool:
    """Say whether one of the plugins that this host found offers that kind of thing by that name."""
    return any(isinstance(implementation, kind.type) and implementation.name in host.names(kind.name) for kind in KINDS)


class OfferContract(IntactContract):
    """The facts that hold for every plug point; part of each contract.

    ``is_installed`` False is for what no entry point offers.
    """

    is_installed: ClassVar[bool] = True

    parts: ClassVar[tuple[Part, ...]] = (
        Part(
            flag="is_installed",
            uncovered="that AgentPod finds it by its entry point",
            shown_by=lambda request: is_offered(
                request.getfixturevalue("host"), request.getfixturevalue("implementation")
            ),
        ),
    )

    @pytest.fixture
    def host(self) -> Host:
        """The host, with every plugin that is installed."""
        return Host()

    def test_no_part_is_hidden(self, request: pytest.FixtureRequest) -> None:
        """What was declared absent is absent: a part that is there does not go untested."""
        hidden = [
            part.flag
            for part in parts_of(type(self))
            if getattr(self, part.flag) is False and part.shows(type(self), request)
        ]
        if hidden:
            pytest.fail(f"declared absent, but there: {', '.join(hidden)}; take the flag away or set it to True")

    def test_name_is_a_slug(self, implementation: Any) -> None:
        """It has a slug for specs and settings, and a title for people."""
        assert SLUG.fullmatch(implementation.name)
        assert implementation.title.strip()

    @needs("is_installed")
    def test_is_offered_by_an_installed_plugin(self, implementation: Any, host: Host) -> None:
        """The host finds it by its entry point."""
        errors = [str(error) for plugin in host.plugins() for error in plugin.errors]
        assert is_offered(host, implementation), errors


class ImpureContract(OfferContract):
    """The facts that hold for every plug point that is opened and closed; part of each of their contracts."""

    async def test_closing_is_idempotent(self, implementation: Any) -> None:
        """It can be closed twice."""
        await implementation.close()
        await implementation.close()
