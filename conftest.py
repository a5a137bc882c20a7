"""Imports what is installed before pytest can take a folder of the same name for it.

``--import-mode=importlib`` names test modules after their folders, so without this the folder
``agentpod_traefik/`` would become the package ``agentpod_traefik`` of the tests, and an empty one.
"""

from __future__ import annotations

import agentpod_core as agentpod_core
import agentpod_openclaw as agentpod_openclaw
import agentpod_traefik as agentpod_traefik
