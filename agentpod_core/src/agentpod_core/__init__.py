"""The core of AgentPod: hook specs, plug points, values, pure planning and the engine.

What is exported here is the contract for plugin authors; everything else is internal.
"""

from __future__ import annotations

from agentpod_core.errors import (
    AgentPodError,
    ConfigError,
    ConflictError,
    NotFoundError,
    PermanentError,
    PluginError,
    Problem,
    TemporaryError,
)
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.context import Clock, HostContext, Impure, NoSettings
from agentpod_core.plugpoints.hooks import hookimpl
from agentpod_core.plugpoints.link import ExecResult, Link, Reply, Socket
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Progress, Runtime
from agentpod_core.plugpoints.secrets import SecretStore
from agentpod_core.values.actions import (
    Action,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    ObtainImage,
    ProtectHost,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RunOnce,
    StartContainer,
    StopContainer,
    UpdateLimits,
    WriteFiles,
)
from agentpod_core.values.addresses import AllowedAddresses
from agentpod_core.values.names import owner_labels
from agentpod_core.values.pods import Package, Pod
from agentpod_core.values.recipes import ImageRecipe
from agentpod_core.values.rendering import file_content, file_mode, secret_value
from agentpod_core.values.reports import AgentReport, Alert, ChannelReport, Door, ProbeResult, Repair, TokenUsage
from agentpod_core.values.resources import Resources, format_bytes, parse_bytes, parse_cpus
from agentpod_core.values.routes import Certificate, Daemon, Entrypoints, Route, route_problems
from agentpod_core.values.status import Severity
from agentpod_core.values.workload import (
    SECRETS_PATH,
    File,
    OnChange,
    Port,
    Probe,
    Quote,
    RouteSpec,
    SecretRef,
    Security,
    Volume,
    Workload,
)
from agentpod_core.values.world import (
    Container,
    ContainerState,
    Endpoint,
    EngineEvent,
    Limits,
    PodWorld,
    Protection,
    SeenNetwork,
    SeenVolume,
    Usage,
    World,
)

__all__ = [
    "SECRETS_PATH",
    "Action",
    "AgentAdapter",
    "AgentPodError",
    "AgentReport",
    "Alert",
    "AllowedAddresses",
    "Certificate",
    "ChannelReport",
    "Clock",
    "ConfigError",
    "ConflictError",
    "Container",
    "ContainerState",
    "CreateContainer",
    "CreateNetwork",
    "CreateVolume",
    "Daemon",
    "Door",
    "Endpoint",
    "EngineEvent",
    "Entrypoints",
    "ExecResult",
    "File",
    "HealthProbe",
    "HostContext",
    "ImageRecipe",
    "Impure",
    "Limits",
    "Link",
    "NoSettings",
    "NotFoundError",
    "Notifier",
    "ObtainImage",
    "OnChange",
    "Package",
    "PermanentError",
    "PluginError",
    "Pod",
    "PodWorld",
    "Port",
    "Probe",
    "ProbeResult",
    "Problem",
    "Progress",
    "ProtectHost",
    "Protection",
    "Quote",
    "RemoveContainer",
    "RemoveNetwork",
    "RemoveVolume",
    "Repair",
    "Reply",
    "Resources",
    "Route",
    "RouteSpec",
    "Router",
    "RunOnce",
    "Runtime",
    "SecretRef",
    "SecretStore",
    "Security",
    "SeenNetwork",
    "SeenVolume",
    "Severity",
    "Socket",
    "StartContainer",
    "StopContainer",
    "TemporaryError",
    "TokenUsage",
    "UpdateLimits",
    "Usage",
    "Volume",
    "Workload",
    "World",
    "WriteFiles",
    "file_content",
    "file_mode",
    "format_bytes",
    "hookimpl",
    "owner_labels",
    "parse_bytes",
    "parse_cpus",
    "route_problems",
    "secret_value",
]
