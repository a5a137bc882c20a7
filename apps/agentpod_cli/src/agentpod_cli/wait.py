"""Waits for what was asked and tells each step; how an end that is none is told is decided here too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentpod_cli.errors import CliError, ServerError
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import Reference
from agentpod_cli.progress import Steps
from agentpod_cli.render.amounts import clean, seconds
from agentpod_cli.texts import Texts
from agentpod_client import shapes
from agentpod_client.errors import NotInTimeError, OperationFailedError, PodFailedError

if TYPE_CHECKING:
    # The verbs that import this must stay quick to load, and the client's HTTP library is not.
    from agentpod_client import Client


class Waiter:
    """Waits at most ``timeout`` seconds from the moment it was made."""

    def __init__(self, client: Client, texts: Texts, steps: Steps, *, timeout: float) -> None:
        self._client = client
        self._texts = texts
        self._steps = steps
        self._timeout = timeout
        self._span = seconds(timeout)
        self._began = time.monotonic()
        self._last = ""

    @property
    def passed(self) -> str:
        """How long it took so far."""
        return seconds(time.monotonic() - self._began)

    def ready(self, reference: Reference, generation: int) -> shapes.Pod:
        """Wait until a pod is ready as that generation asks.

        Raises:
            CliError: it is blocked or was stopped (1), or was not ready in time (5).
            ApiError: it is gone.
        """
        try:
            return self._client.wait_ready(
                reference.tenant,
                reference.pod,
                generation=generation,
                timeout=self._left(),
                seen=lambda pod: self._tell(self._step(pod, generation)),
            )
        except PodFailedError as error:
            raise self._failed(reference, error.pod["status"]) from None
        except NotInTimeError as error:
            raise CliError(
                "NotReadyInTime", Exit.NOT_READY, pod=reference, span=self._span, message=clean(error.last)
            ) from None

    def stopped(self, reference: Reference, generation: int) -> shapes.Pod:
        """Wait until a pod is stopped.

        Raises:
            CliError: it was not stopped in time (5).
            ApiError: it is gone.
        """
        try:
            return self._client.wait_stopped(
                reference.tenant,
                reference.pod,
                generation=generation,
                timeout=self._left(),
                seen=self._telling("step.stopping"),
            )
        except NotInTimeError as error:
            raise CliError(
                "NotStoppedInTime", Exit.NOT_READY, pod=reference, span=self._span, message=clean(error.last)
            ) from None

    def pod_gone(self, reference: Reference) -> None:
        """Wait until nothing of a pod is left.

        Raises:
            CliError: it was still there in the end (5).
        """
        seen = self._telling("step.deleting")
        try:
            self._client.wait_pod_gone(reference.tenant, reference.pod, timeout=self._left(), seen=seen)
        except NotInTimeError:
            raise CliError("NotGoneInTime", Exit.NOT_READY, name=reference, span=self._span) from None

    def tenant_gone(self, tenant: str) -> None:
        """Wait until nothing of a tenant is left.

        Raises:
            CliError: it was still there in the end (5).
        """
        try:
            self._client.wait_tenant_gone(tenant, timeout=self._left(), seen=self._telling("step.deleting"))
        except NotInTimeError:
            raise CliError("NotGoneInTime", Exit.NOT_READY, name=tenant, span=self._span) from None

    def finished(self, operation: shapes.Operation) -> shapes.Operation:
        """Wait until an operation has succeeded.

        Raises:
            CliError: it failed (1), or was not finished in time (5); it goes on in the latter case.
        """
        number = operation["id"]
        try:
            return self._client.wait_operation(number, timeout=self._left(), seen=self._progress)
        except OperationFailedError as error:
            raise self._broken(error.operation) from None
        except NotInTimeError:
            raise CliError("NotFinishedInTime", Exit.NOT_READY, id=number, span=self._span) from None

    def _left(self) -> float:
        return max(0.0, self._began + self._timeout - time.monotonic())

    def _step(self, pod: shapes.Pod | None, generation: int) -> str:
        if pod is None:
            return self._texts("step.silent")
        status = pod["status"]
        if status["observed_generation"] < generation:
            return self._texts("step.accepted")
        word = self._texts.find(f"step.{status['phase']}") or status["phase"]
        message = _message(status)
        return f"{word}: {message}" if message else word

    def _progress(self, operation: shapes.Operation | None) -> None:
        if operation is None:
            self._tell(self._texts("step.silent"))
            return
        progress = operation["progress"]
        self._tell(clean(progress["line"]) or self._texts("step.accepted"))
        self._steps.percent(progress["percent"])

    def _telling(self, key: str) -> Callable[[object], None]:
        return lambda answer: self._tell(self._texts("step.silent" if answer is None else key))

    def _tell(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self._steps.step(text)

    def _broken(self, operation: shapes.Operation) -> ServerError:
        error = operation["error"]
        problem = {
            "reason": error["reason"] if error else "OperationFailed",
            "title": self._texts("step.failed", what=f"{operation['kind']} {operation['target']}"),
            "detail": error["message"] if error else "",
            "repair": error.get("repair") if error else None,
        }
        return ServerError(0, problem)

    def _failed(self, reference: Reference, status: shapes.PodStatus) -> CliError:
        reason = "PodBlocked" if status["phase"] == "blocked" else "PodNotWanted"
        return CliError(
            reason,
            Exit.FAILED,
            repair=status.get("repair"),
            pod=reference,
            phase=status["phase"],
            message=_message(status),
        )


def _message(status: shapes.PodStatus) -> str:
    return clean(status.get("message") or status["reason"])
