"""Ends the process although code of plugins in it does not end.

To be expected when all of ours has ended in order: a task that swallows its cancellation and a thread that waits for
ever hold nothing by then but the process itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from typing import Final

PATIENCE: Final = 5.0
"""Seconds for what is left to end by itself."""

_log = logging.getLogger(__name__)


def expected(code: int, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """End the process with that code in so many seconds, unless it ends by itself before."""
    threading.Thread(target=_end, args=(code, loop, seconds), name="ending", daemon=True).start()


def _end(code: int, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    time.sleep(seconds)
    tasks = [task.get_name() for task in asyncio.all_tasks(loop)]
    main = threading.main_thread()
    threads = [one.name for one in threading.enumerate() if not one.daemon and one is not main]
    _log.warning("ended without %s, which a plugin left behind", ", ".join(sorted(tasks + threads)) or "waiting")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
