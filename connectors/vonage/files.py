"""Files of our messages, which Vonage fetches."""

from __future__ import annotations

from connectors._shared.sms.files import PublicFiles
from connectors.vonage.settings import VonageSettings
from omnibus.config.fields import Secret


def secret_of(settings: VonageSettings) -> Secret:
    """What signs the links to them."""
    return settings.signing_secret


class VonageFiles(PublicFiles):
    """Serves them below ``/ch/<account>/media/``."""

    secret_of = staticmethod(secret_of)
