"""The operations on alerts, silences and notifiers."""

from __future__ import annotations

from typing import Literal, Unpack, cast

from agentpod_client import bodies, shapes
from agentpod_client.listing import Listing
from agentpod_client.tenants import PAGE
from agentpod_client.wire import Wire, part


class Alerts(Wire):
    """What a person should know, and how they are told."""

    def list_alerts(  # noqa: PLR0913 - the filters of the route
        self,
        *,
        status: Literal["open", "closed"] | None = None,
        severity: bodies.Severity | None = None,
        tenant: str | None = None,
        pod: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Listing[shapes.Alert]:
        """List alerts, the newest first; ``severity`` is the least."""
        params = {"status": status, "severity": severity, "tenant": tenant, "pod": pod, "limit": limit}
        return self._listing("/alerts", params, cursor=cursor)

    def get_alert(self, alert: str) -> shapes.Alert:
        """Describe an alert, and who was told of it."""
        return cast("shapes.Alert", self._json("GET", f"/alerts/{part(alert)}"))

    def list_silences(self, *, cursor: str | None = None, limit: int = PAGE) -> Listing[shapes.Silence]:
        """List the silences that hold, the newest first."""
        return self._listing("/alerts/silences", {"limit": limit}, cursor=cursor)

    def create_silence(self, **body: Unpack[bodies.SilenceCreate]) -> shapes.Silence:
        """Have nobody told of something for a while."""
        return cast("shapes.Silence", self._json("POST", "/alerts/silences", body=body))

    def end_silence(self, silence: str) -> None:
        """End a silence now; ``silence`` is its id."""
        self._send("DELETE", f"/alerts/silences/{part(silence)}")

    def list_notifier_kinds(self) -> Listing[shapes.NotifierKind]:
        """List the kinds of notifiers that are installed."""
        return self._listing("/notifier-kinds", {})

    def list_notifiers(
        self, *, tenant: str | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> Listing[shapes.Notifier]:
        """List notifiers by tenant and name, the platform's first."""
        return self._listing("/notifiers", {"tenant": tenant, "limit": limit}, cursor=cursor)

    def create_notifier(self, **body: Unpack[bodies.NotifierCreate]) -> shapes.Notifier:
        """Add a notifier; the same again gives the one that exists."""
        return cast("shapes.Notifier", self._json("POST", "/notifiers", body=body))

    def get_notifier(self, notifier: str, *, tenant: str | None = None) -> shapes.Notifier:
        """Describe a notifier, of a tenant or of the platform."""
        return cast("shapes.Notifier", self._json("GET", f"/notifiers/{part(notifier)}", params={"tenant": tenant}))

    def update_notifier(
        self,
        notifier: str,
        /,
        *,
        tenant: str | None = None,
        generation: int | None = None,
        **patch: Unpack[bodies.NotifierPatch],
    ) -> shapes.Notifier:
        """Change a notifier, if it still is the one of that generation; without one, as it is now."""
        path, params = f"/notifiers/{part(notifier)}", {"tenant": tenant}
        headers = {"If-Match": self._etag(path, generation, params=params)}
        return cast("shapes.Notifier", self._json("PATCH", path, params=params, body=patch, headers=headers))

    def list_notifier_deliveries(
        self, notifier: str, *, tenant: str | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> Listing[shapes.NotifierDelivery]:
        """List what a notifier was told and is still to be told, the newest first."""
        params = {"tenant": tenant, "limit": limit}
        return self._listing(f"/notifiers/{part(notifier)}/deliveries", params, cursor=cursor)

    def delete_notifier(self, notifier: str, *, tenant: str | None = None) -> None:
        """Remove a notifier, its secrets, and what it was still to be told."""
        self._send("DELETE", f"/notifiers/{part(notifier)}", params={"tenant": tenant})

    def test_notifier(self, notifier: str, *, tenant: str | None = None) -> shapes.NotifierTest:
        """Send a test message now, and say what came of it."""
        found = self._json("POST", f"/notifiers/{part(notifier)}/test", params={"tenant": tenant})
        return cast("shapes.NotifierTest", found)
