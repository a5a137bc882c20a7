"""Follows an answer that goes on, line by line, and keeps when each line came in; the same way on both sides."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Self

from stage.waiting import until

_GRAIN = 0.005


class Following:
    """Reads a stream while its context lasts."""

    def __init__(self, line: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> None:
        self._line = line
        self._request = (path, headers)
        self._came: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        path, headers = self._request
        self._line.request("GET", path, headers=dict(headers))
        self._answer = self._line.getresponse()
        if self._answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path}: {self._answer.status}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Ends the read that the thread waits in.
        self._line.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def first(self, is_it: Callable[[bytes], bool], *, since: float, seconds: float = 60.0) -> float:
        """Give the moment at which the first such line since a moment came in, waiting for it.

        Raises:
            TimeoutError: none came.
        """

        def found() -> float | None:
            return next((at for at, line in list(self._came) if at >= since and is_it(line)), None)

        moment = until(found, "the line comes", seconds=seconds, every=_GRAIN)
        assert moment is not None
        return moment

    def _read(self) -> None:
        try:
            for line in iter(self._answer.readline, b""):
                self._came.append((time.time(), line))
        except (OSError, http.client.HTTPException, ValueError):
            # The context ended; who still waits for a line says that none came.
            return
