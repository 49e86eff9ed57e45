"""Serves the files that we send: LINE fetches them itself, and so do the people who get a link."""

from __future__ import annotations

from connectors._shared.links.serve import LinkedFiles


class LineFiles(LinkedFiles):
    """``/ch/<account>/files/...``"""

    secret_field = "app_secret"  # noqa: S105 - the setting's name, not its value
