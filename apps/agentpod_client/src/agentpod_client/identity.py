"""The operations on logins and API tokens."""

from __future__ import annotations

from typing import Unpack, cast

from agentpod_client import bodies, shapes
from agentpod_client.listing import Listing
from agentpod_client.wire import Wire, part


class Identity(Wire):
    """Who may come in."""

    def login(self, **body: Unpack[bodies.Login]) -> shapes.Login:
        """Prove a user's name and password; with ``token_name`` the answer holds an API token for another client."""
        return cast("shapes.Login", self._json("POST", "/login", body=body))

    def logout(self, *, csrf: str) -> None:
        """End the session that a login without ``token_name`` began; ``csrf`` came with it."""
        self._send("POST", "/logout", headers={"X-CSRF-Token": csrf})

    def whoami(self) -> shapes.Who:
        """Say whom the token stands for."""
        return cast("shapes.Who", self._json("GET", "/whoami"))

    def list_tokens(self) -> Listing[shapes.Token]:
        """List the API tokens, without their values."""
        return self._listing("/tokens", {})

    def create_token(self, **body: Unpack[bodies.TokenCreate]) -> shapes.Token:
        """Make an API token; its value is in this answer alone."""
        return cast("shapes.Token", self._json("POST", "/tokens", body=body))

    def revoke_token(self, token: str) -> None:
        """Make a token worthless at once; ``token`` is its id."""
        self._send("DELETE", f"/tokens/{part(token)}")
