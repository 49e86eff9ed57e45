"""Serves the files that we send: Vonage fetches them itself."""

from __future__ import annotations

from connectors._shared.links.serve import LinkedFiles


class VonageFiles(LinkedFiles):
    """``/ch/<account>/files/...``"""

    secret_field = "signing_secret"  # noqa: S105 - the setting's name, not its value
