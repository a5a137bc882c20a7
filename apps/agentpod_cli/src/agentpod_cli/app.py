"""What every command is given: the environment, the terminal, the texts and, when asked for, the client."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from agentpod_cli.errors import CliError
from agentpod_cli.exits import Exit
from agentpod_cli.target import Target, find_target
from agentpod_cli.texts import Texts, texts_of
from agentpod_client.errors import BadTokenError

if TYPE_CHECKING:
    # httpx costs more than the whole of --help; only who connects pays for it.
    from agentpod_client import Client


class App:
    """The running command line. ``terminal`` says whether a person reads stdout, ``asks`` whether one can answer."""

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        terminal: bool | None = None,
        asks: bool | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        replace_process: Callable[[str, list[str]], NoReturn] = os.execv,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self.terminal = _is_terminal(sys.stdout) if terminal is None else terminal
        self.asks = (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)) if asks is None else asks
        self.now = now
        self.replace_process = replace_process
        self.server: str | None = None
        self.ca: str | None = None
        self._clients: list[Client] = []

    @cached_property
    def texts(self) -> Texts:
        """The words, in the user's language."""
        return texts_of(self.environ)

    @property
    def coloured(self) -> bool:
        """Whether stdout may carry colour."""
        return self.terminal and not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"

    @cached_property
    def client(self) -> Client:
        """The client of the server that was chosen."""
        return self.connect()

    def target(self) -> Target:
        """Say which server was chosen, and who asks it."""
        return find_target(self.environ, server=self.server, ca=self.ca)

    def connect(self, *, token: str | None = None, timeout: float = 30.0) -> Client:
        """Make a client of the server that was chosen, with another token if one is given."""
        from agentpod_client import Client  # noqa: PLC0415 - see the head of this module

        target = self.target()
        try:
            client = Client(
                target.server,
                target.token if token is None else token,
                language=self.texts.language,
                timeout=timeout,
                # Whoever waits at a terminal wants to know at once; scripts see it by the exit code.
                retries=0,
                ca=target.ca,
                user_agent=f"agentpod-cli/{version('agentpod-cli')}",
            )
        except BadTokenError:
            raise CliError("BadToken", Exit.USAGE, server=target.server) from None
        except ValueError:
            raise CliError("BadServer", Exit.USAGE, server=target.server) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise CliError("BadCa", Exit.USAGE, path=target.ca, why=why) from None
        self._clients.append(client)
        return client

    def close(self) -> None:
        """End the connections that were made."""
        while self._clients:
            with suppress(OSError):
                self._clients.pop().close()

    def say(self, text: str) -> None:
        """Write a line of the answer."""
        click.echo(text, color=self.coloured)

    def note(self, text: str) -> None:
        """Write a line about the work itself, beside the answer."""
        click.echo(text, err=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is lost; the default is no.

        Raises:
            CliError: nobody can answer, or the answer was no.
        """
        if yes:
            return
        if not self.asks:
            raise CliError("NobodyToAsk", Exit.USAGE, question=question)
        if not click.confirm(question, default=False, err=True):
            raise CliError("Declined", Exit.FAILED)


def _is_terminal(stream: TextIO | None) -> bool:
    # A stream that was closed before we began is None.
    return stream is not None and stream.isatty()


def open_app(context: click.Context) -> App:
    """Give the App of a running command, made when the command line did not come with one."""
    root = context.find_root()
    if not isinstance(root.obj, App):
        root.obj = App()
    root.call_on_close(root.obj.close)
    return root.obj
