"""Serves the files that we send: Viber fetches them itself."""

from __future__ import annotations

from connectors._shared.links.serve import LinkedFiles


class ViberFiles(LinkedFiles):
    """``/ch/<account>/files/...``"""

    secret_field = "bot_token"  # noqa: S105 - the setting's name, not its value
