"""Runs the server by ``python -m agentpod_server``."""

from __future__ import annotations

import sys

from agentpod_server.main import main

sys.exit(main())
