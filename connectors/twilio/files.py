"""Files of our messages, which Twilio fetches. https://www.twilio.com/docs/messaging/guides/accepted-mime-types"""

from __future__ import annotations

from connectors._shared.sms.files import PublicFiles
from connectors.twilio.settings import TwilioSettings
from omnibus.config.fields import Secret


def secret_of(settings: TwilioSettings) -> Secret:
    """What signs the links to them."""
    return settings.auth_token


class TwilioFiles(PublicFiles):
    """Serves them below ``/ch/<account>/media/``."""

    secret_of = staticmethod(secret_of)
