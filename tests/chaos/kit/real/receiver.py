"""Takes the platform's webhooks, as whoever is to be told does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Takes webhooks; ``got`` are the bodies of the messages."""

    def __init__(self, call: Callable[..., Any]) -> None:
        got = self.got = []  # type: list[dict[str, Any]]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = call(ThreadingHTTPServer, ("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()

    def of(self, tenant: str, pod: str) -> list[tuple[str, str]]:
        """Give the types and the alerts of what was told of a pod, in its order."""
        told = [one for one in self.got if (one["data"]["tenant"], one["data"]["pod"]) == (tenant, pod)]
        return [(one["type"], one["data"]["alert_id"]) for one in told]
