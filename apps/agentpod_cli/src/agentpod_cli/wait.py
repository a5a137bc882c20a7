"""Waits for what was asked: follows a pod, a tenant or an operation until it is done, and tells each step.

A server that is away for a moment (it may be restarted meanwhile) ends no waiting; a pod that will
never get there without help does, at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from agentpod_cli import shapes
from agentpod_cli.errors import CliError, ServerError
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import Reference
from agentpod_cli.progress import Steps
from agentpod_cli.render.amounts import clean, seconds
from agentpod_cli.texts import Texts

if TYPE_CHECKING:
    # Waiting needs no HTTP library of its own, and the verbs that import this must stay quick to load.
    from agentpod_cli.client import Client

AnswerT = TypeVar("AnswerT")

FIRST_PAUSE = 0.2
LAST_PAUSE = 1.0
PATIENCE = 15.0
_NOT_FOUND = 404
_ON_THE_WAY = ("pending", "creating", "starting")
"""Phases in which an agent that answers is the one that is about to be replaced or restarted."""


class Waiter:
    """Waits at most ``timeout`` seconds from the moment it was made."""

    def __init__(  # noqa: PLR0913 - the clock is for tests
        self,
        client: Client,
        texts: Texts,
        steps: Steps,
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._texts = texts
        self._steps = steps
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._began = clock()
        self._last = ""

    @property
    def passed(self) -> str:
        """How long it took so far."""
        return seconds(self._clock() - self._began)

    def ready(self, reference: Reference, generation: int) -> shapes.Pod:
        """Wait until a pod is ready as that generation asks.

        Raises:
            CliError: it is blocked or was stopped (1), is gone (3), or was not ready in time (5).
        """
        message = ""
        for pod in self._answers(lambda: self._client.pod(reference.tenant, reference.pod)):
            status = pod["status"]
            message = clean(status.get("message") or status["reason"])
            if status["observed_generation"] < generation:
                self._tell(self._texts("step.accepted"))
                continue
            if status["ready"] and status["phase"] not in _ON_THE_WAY:
                return pod
            if status["phase"] == "blocked":
                raise self._failed("PodBlocked", reference, status)
            if status["phase"] in ("stopped", "stopping", "deleting"):
                raise self._failed("PodNotWanted", reference, status)
            self._tell(self._step(status["phase"], message))
        raise CliError("NotReadyInTime", Exit.NOT_READY, pod=reference, span=seconds(self._timeout), message=message)

    def stopped(self, reference: Reference, generation: int) -> shapes.Pod:
        """Wait until a pod is stopped.

        Raises:
            CliError: it is gone (3), or was not stopped in time (5).
        """
        message = ""
        for pod in self._answers(lambda: self._client.pod(reference.tenant, reference.pod)):
            status = pod["status"]
            message = clean(status.get("message") or status["reason"])
            if status["observed_generation"] >= generation and status["phase"] == "stopped":
                return pod
            self._tell(self._texts("step.stopping"))
        raise CliError("NotStoppedInTime", Exit.NOT_READY, pod=reference, span=seconds(self._timeout), message=message)

    def gone(self, name: str, question: Callable[[], object]) -> None:
        """Wait until a thing is not found any more.

        Raises:
            CliError: it was still there in the end (5).
        """
        try:
            for _ in self._answers(question):
                self._tell(self._texts("step.deleting"))
        except ServerError as error:
            if error.status == _NOT_FOUND:
                return
            raise
        raise CliError("NotGoneInTime", Exit.NOT_READY, name=name, span=seconds(self._timeout))

    def finished(self, operation: shapes.Operation) -> shapes.Operation:
        """Wait until an operation has succeeded.

        Raises:
            CliError: it failed (1), or was not finished in time (5); it goes on in the latter case.
        """
        number = operation["id"]
        for current in self._answers(lambda: self._client.operation(number)):
            if current["status"] == "succeeded":
                return current
            if current["status"] == "failed":
                error = current.get("error")
                raise ServerError(
                    0,
                    {
                        "reason": error["reason"] if error else "OperationFailed",
                        "title": self._texts("step.failed", what=f"{current['kind']} {current['target']}"),
                        "detail": error["message"] if error else "",
                        "repair": error.get("repair") if error else None,
                    },
                )
            progress = current["progress"]
            self._tell(clean(progress["line"]) or self._texts("step.accepted"))
            self._steps.percent(progress["percent"])
        raise CliError("NotFinishedInTime", Exit.NOT_READY, id=number, span=seconds(self._timeout))

    def _answers(self, question: Callable[[], AnswerT]) -> Iterator[AnswerT]:
        """Ask again and again until the time is over; at least once, and once more at the very end."""
        pause, deadline = FIRST_PAUSE, self._began + self._timeout
        silent_since: float | None = None
        while True:
            over = self._clock() >= deadline
            try:
                yield question()
                silent_since = None
            except CliError as error:
                if error.exit_code != Exit.UNREACHABLE:
                    raise
                silent_since = self._clock() if silent_since is None else silent_since
                if self._clock() - silent_since >= PATIENCE:
                    raise
                self._tell(self._texts("step.silent"))
            if over:
                return
            self._sleep(max(0.0, min(pause, deadline - self._clock())))
            pause = min(pause * 1.3, LAST_PAUSE)

    def _step(self, phase: str, message: str) -> str:
        word = self._texts.find(f"step.{phase}") or phase
        return f"{word}: {message}" if message else word

    def _tell(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self._steps.step(text)

    def _failed(self, reason: str, reference: Reference, status: shapes.PodStatus) -> CliError:
        # The repair comes with the status; a server that sends none leaves it to the catalogue here.
        from agentpod_core import catalogue  # noqa: PLC0415 - only failures pay for it

        language: catalogue.Language = "zh-CN" if self._texts.language == "zh-CN" else "en"
        repair = status.get("repair") or catalogue.repair(
            status["reason"], {"pod": reference.pod, "tenant": reference.tenant}, language
        )
        return CliError(
            reason,
            Exit.FAILED,
            repair=repair,
            pod=reference,
            phase=status["phase"],
            message=clean(status.get("message") or status["reason"]),
        )
