"""What ``PICCOLO_CONF`` names: the engine and the apps whose migrations belong to AgentPod."""

from __future__ import annotations

from piccolo.conf.apps import AppRegistry

from agentpod_server.store.piccolo_engine import ENGINE

DB = ENGINE
APP_REGISTRY = AppRegistry(apps=["agentpod_server.store.piccolo_app"])
