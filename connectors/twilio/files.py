"""Serves the files that we send: Twilio fetches them itself.

https://www.twilio.com/docs/messaging/guides/accepted-mime-types
"""

from __future__ import annotations

from connectors._shared.links.serve import LinkedFiles


class TwilioFiles(LinkedFiles):
    """``/ch/<account>/files/...``"""

    secret_field = "auth_token"  # noqa: S105 - the setting's name, not its value
