"""The plug point for a kind of agent: what it needs to run and how to talk with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct

from agentpod_core.plugpoints.link import Link
from agentpod_core.values.pods import Package, Pod
from agentpod_core.values.recipes import ImageRecipe
from agentpod_core.values.reports import AgentReport, Door, Repair, TokenUsage
from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import File, Workload

ConfigT = TypeVar("ConfigT", bound=Struct)


class AgentAdapter(ABC, Generic[ConfigT]):
    """Turns a config into a workload and knows how to talk with the agent that runs in it.

    ``name`` is a slug, unique among all installed plugins; ``title`` is for people.
    ``config_type`` is a frozen msgspec Struct, and the form, the API and ``--set`` are made from
    it: its fields' ``Meta`` gives titles, descriptions, limits and examples, a ``SecretRef`` field
    is a secret. Only these and ``workload`` are required.

    ``config_version`` grows when the config's shape changes; ``upgrade`` then lifts older values.
    ``generated_secrets`` names secrets that AgentPod makes for each pod (``pod.secrets``).
    ``credential`` names the one of them that the link sends as bearer token. ``sizes`` maps names
    to limits, the first is the default. ``boot_cost`` (seconds of processor time) and ``request``
    (bytes) are what a start and an idle agent really take.

    A method that gets a link raises TemporaryError, and nothing else, for an agent that cannot be
    reached or answers what nobody expects.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config_type: ClassVar[type[Struct]]
    config_version: ClassVar[int] = 1
    generated_secrets: ClassVar[tuple[str, ...]] = ()
    credential: ClassVar[str | None] = None
    sizes: ClassVar[dict[str, Resources]] = {}
    boot_cost: ClassVar[float] = 0.0
    request: ClassVar[int] = 0

    @abstractmethod
    def workload(self, config: ConfigT, pod: Pod, package: Package | None) -> Workload:
        """Render the container for that config. Pure: same input, same output, no I/O.

        Raises:
            ConfigError: the values contradict one another in a way the schema cannot say.
        """

    def upgrade(self, version: int, raw: dict[str, Any]) -> dict[str, Any]:
        """Lift a stored config of an older ``version`` to the present shape; pure."""
        del version
        return raw

    def merge(self, file: File, current: bytes, wanted: bytes) -> bytes:
        """Combine a file that the agent may have rewritten with what we want in it; pure."""
        del file, current
        return wanted

    def recognise(self, image: str, command: tuple[str, ...], env: dict[str, str]) -> bool:
        """Say whether a container that AgentPod does not manage runs this agent."""
        del image, command, env
        return False

    def repair(self, exit_code: int) -> Repair | None:
        """Say what to do about an exit code that no restart mends; None when nothing is known."""
        del exit_code
        return None

    def recipe(self) -> ImageRecipe | None:
        """Say how to build the image where no registry has it; None where it can't be built."""
        return None

    async def inspect(self, link: Link) -> AgentReport:
        """Ask the agent about itself; an empty report from an agent that cannot say."""
        del link
        return AgentReport()

    async def usage(self, link: Link, since: str) -> list[TokenUsage]:
        """Ask for tokens and cost per day since that day (``YYYY-MM-DD``)."""
        del link, since
        return []

    async def after_heal(self, link: Link) -> None:
        """Bring back what the agent leaves off after an unclean start; called once it is ready."""
        del link

    async def open_door(self, link: Link, pod: Pod) -> Door | None:
        """Make a one-time link for a browser; None for an agent that needs no door."""
        del link, pod
        return None
