"""The entry point: runs the tree and turns however it ends into an exit code, never into a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from agentpod_cli.app import App
from agentpod_cli.cli import cli
from agentpod_cli.commands.local import COMPLETING
from agentpod_cli.errors import CliError, told
from agentpod_cli.exits import Exit
from agentpod_cli.texts import texts_of
from agentpod_cli.translation import translate
from agentpod_client.errors import ClientError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str], app: App | None = None) -> int:
    """Run a command line and give its exit code."""
    app = app or App()
    translate(cli, texts_of(os.environ))
    try:
        code = cli.main(args=list(arguments), prog_name="agentpod", standalone_mode=False, obj=app)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ClientError as error:
        shown = told(error, source=app.target().source)
        shown.show()
        return shown.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Click exits by itself after a completion, and where whoever read has had enough.
        if COMPLETING in os.environ:
            raise
        # What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.UNREAD
    except Exception as error:
        if os.environ.get("AGENTPOD_DEBUG"):
            raise
        _told_of(error).show()
        return Exit.FAILED
    return code if isinstance(code, int) else Exit.DONE


def _told_of(error: Exception) -> CliError:
    if isinstance(error, OSError) and error.errno in _FULL:
        return CliError("OutputUnwritable", Exit.FAILED, why=error.strerror)
    return CliError("Unexpected", Exit.FAILED, kind=type(error).__name__, why=str(error)[:300])
