"""The store as a Piccolo app: where its migrations lie and which tables they make."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig

from agentpod_server.store.tables import TABLES

APP_CONFIG = AppConfig(
    app_name="agentpod",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=list(TABLES),
)
