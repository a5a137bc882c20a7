"""The plug point for telling people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.reports import Alert
from agentpod_core.values.workload import SecretRef

TargetT = TypeVar("TargetT", bound=Struct)


class Notifier(Impure, Generic[TargetT]):
    """Delivers alerts to targets.

    ``target_type`` is a frozen msgspec Struct of what describes one target; form, API and ``--set`` are made from
    it as from an adapter's ``config_type``, and a ``SecretRef`` field is a secret. An address that lets whoever
    knows it send messages is one. ``material`` holds the values of the secrets that a target names.

    With ``gathers`` its messages are read by people: of several alerts that wait for one target the platform then
    makes a single one, whose ``text`` lists them line by line and whose ``alerts`` are the ones that it stands for.
    Without, every alert is a message of its own.

    How many calls are under way at a time the platform decides, so that no tenant's targets keep others waiting: a
    queue of the notifier's own would undo that.
    """

    target_type: ClassVar[type[Struct]]
    gathers: ClassVar[bool] = False

    async def check(self, target: TargetT, material: Mapping[SecretRef, str]) -> None:
        """Refuse a target that makes no sense beyond what its type can say; asked before it is stored.

        Nothing is sent. That a target cannot be reached at the moment is no reason to refuse it.

        Raises:
            ConfigError: with every problem and its place; no problem shows a secret.
        """

    @abstractmethod
    async def send(self, alert: Alert, target: TargetT, material: Mapping[SecretRef, str]) -> None:
        """Deliver one alert as one message that names tenant and pod, and reads differently when it is over.

        One that stands for several is one message as well, with every line of its ``text`` that its kind of message
        has room for, from the first on.

        It comes to an end within 30 seconds, whatever the target does. No error shows a secret of the target, not
        even the error that it was raised from.

        Raises:
            ConfigError: the target makes no sense; it says where.
            TemporaryError: try again later.
            PermanentError: the target refuses for good.
        """
