"""Waits for what was asked: for a pod, a tenant's end or an operation.

A server that is away for a moment (it may be restarted meanwhile) ends no waiting; a pod that will
never get there without help does, at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from agentpod_client.agents import Agents
from agentpod_client.errors import ApiError, ClientError, NotInTimeError, OperationFailedError, PodFailedError, is_away
from agentpod_client.platform import Platform
from agentpod_client.pods import Pods
from agentpod_client.shapes import Operation, Pod, Tenant
from agentpod_client.tenants import Tenants

AnswerT = TypeVar("AnswerT")

FIRST_PAUSE, LAST_PAUSE = 0.1, 0.2
PATIENCE = 15.0
"""Seconds for which a silent server is waited for."""
_NOT_FOUND = 404
_ON_THE_WAY = ("pending", "creating", "starting")
"""Phases in which an agent that answers is the one that is about to be replaced or restarted."""


def _nobody(_: object) -> None:
    """Tell nobody."""


class Waiting(Tenants, Pods, Agents, Platform):
    """What takes its time. ``seen`` is told every answer on the way, and None while the server is silent."""

    def wait_ready(
        self,
        tenant: str,
        pod: str,
        *,
        generation: int | None = None,
        timeout: float = 300.0,
        seen: Callable[[Pod | None], None] = _nobody,
    ) -> Pod:
        """Wait until a pod is ready as that generation asks; without one, as the present one does.

        Raises:
            PodFailedError: it is blocked or was stopped.
            NotInTimeError: it was not ready in time.
            ApiError: it is gone.
        """

        def is_there(found: Pod) -> bool:
            status = found["status"]
            if status["phase"] in ("blocked", "stopped", "stopping", "deleting"):
                raise PodFailedError(found)
            return status["ready"] and status["phase"] not in _ON_THE_WAY

        return self._pod_until(is_there, tenant, pod, generation, timeout, seen)

    def wait_stopped(
        self,
        tenant: str,
        pod: str,
        *,
        generation: int | None = None,
        timeout: float = 300.0,
        seen: Callable[[Pod | None], None] = _nobody,
    ) -> Pod:
        """Wait until a pod is stopped.

        Raises:
            NotInTimeError: it was not stopped in time.
            ApiError: it is gone.
        """

        def is_there(found: Pod) -> bool:
            return found["status"]["phase"] == "stopped"

        return self._pod_until(is_there, tenant, pod, generation, timeout, seen)

    def wait_pod_gone(
        self, tenant: str, pod: str, *, timeout: float = 300.0, seen: Callable[[Pod | None], None] = _nobody
    ) -> None:
        """Wait until nothing of a pod is left.

        Raises:
            NotInTimeError: it was still there in the end.
        """
        self._gone(f"{tenant}/{pod}", lambda: self.get_pod(tenant, pod), timeout, seen)

    def wait_tenant_gone(
        self, tenant: str, *, timeout: float = 300.0, seen: Callable[[Tenant | None], None] = _nobody
    ) -> None:
        """Wait until nothing of a tenant is left.

        Raises:
            NotInTimeError: it was still there in the end.
        """
        self._gone(tenant, lambda: self.get_tenant(tenant), timeout, seen)

    def wait_operation(
        self, operation: str, *, timeout: float = 1800.0, seen: Callable[[Operation | None], None] = _nobody
    ) -> Operation:
        """Wait until a long work has succeeded; ``operation`` is its id.

        Raises:
            OperationFailedError: it failed.
            NotInTimeError: it was not finished in time; it goes on.
        """
        last = ""
        for found in self._answers(lambda: self.get_operation(operation), timeout, seen):
            last = found["progress"]["line"]
            if found["status"] == "succeeded":
                return found
            if found["status"] == "failed":
                raise OperationFailedError(found)
            seen(found)
        raise NotInTimeError(operation, timeout, last)

    def _pod_until(  # noqa: PLR0913 - what both ways of waiting are told
        self,
        is_there: Callable[[Pod], bool],
        tenant: str,
        pod: str,
        generation: int | None,
        timeout: float,
        seen: Callable[[Pod | None], None],
    ) -> Pod:
        """Wait for a pod whose status speaks of that generation (None: the one it has when first asked)."""
        last = ""
        for found in self._answers(lambda: self.get_pod(tenant, pod), timeout, seen):
            status = found["status"]
            last = status["message"] or status["reason"]
            generation = found["spec"]["generation"] if generation is None else generation
            if status["observed_generation"] >= generation and is_there(found):
                return found
            seen(found)
        raise NotInTimeError(f"{tenant}/{pod}", timeout, last)

    def _gone(
        self, name: str, question: Callable[[], AnswerT], timeout: float, seen: Callable[[AnswerT | None], None]
    ) -> None:
        try:
            for answer in self._answers(question, timeout, seen):
                seen(answer)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return
            raise
        raise NotInTimeError(name, timeout)

    def _answers(
        self, question: Callable[[], AnswerT], timeout: float, seen: Callable[[AnswerT | None], None]
    ) -> Iterator[AnswerT]:
        """Ask again and again until the time is over; at least once, and once more at the very end."""
        pause, deadline = FIRST_PAUSE, self._clock() + timeout
        silent_since: float | None = None
        while True:
            over = self._clock() >= deadline
            try:
                answer = question()
            except ClientError as error:
                silent_since = self._clock() if silent_since is None else silent_since
                if not is_away(error) or self._clock() - silent_since >= PATIENCE:
                    raise
                seen(None)
            else:
                silent_since = None
                yield answer
            if over:
                return
            self._sleep(max(0.0, min(pause, deadline - self._clock())))
            pause = min(pause * 1.3, LAST_PAUSE)
