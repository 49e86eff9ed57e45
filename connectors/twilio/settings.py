"""What an operator sets for a Twilio account."""

from __future__ import annotations

from typing import Annotated

import msgspec

from omnibus.config.fields import ApiUrl, PhoneNumber, Secret, Settings, described

API_URL = "https://api.twilio.com"
MAX_FILE_BYTES = 5_000_000
"""https://www.twilio.com/docs/messaging/guides/accepted-mime-types"""


class VoicemailSettings(Settings, frozen=True, kw_only=True):
    """What a caller hears, and how a message is taken."""

    greeting: Annotated[str, described("What is said before the tone.", example="Please leave a message.")]
    language: Annotated[str, described("Language the greeting is read in.", example="pt-BR")] = "en-US"
    voice: Annotated[str | None, described("Voice it is read with; Twilio's own choice without.", example="alice")] = (
        None
    )
    max_seconds: Annotated[
        int, msgspec.Meta(ge=5, le=3_600), described("How long a message may be.", example="120")
    ] = 120
    transcribe: Annotated[
        bool, described("Let Twilio write down what was said (English only, messages of 2 to 120 seconds).")
    ] = False


class TwilioSettings(Settings, frozen=True, kw_only=True):
    """One Twilio account with its numbers."""

    account_sid: Annotated[str, described("SID of the account, from the console.", example="ACxxxxxxxx")]
    auth_token: Annotated[
        Secret,
        described("Auth token of the account; Twilio signs its requests with it.", example="${TWILIO_AUTH_TOKEN}"),
    ]
    previous_auth_token: Annotated[
        Secret | None, described("Also accepted on requests, while the token is being changed.")
    ] = None
    api_key_sid: Annotated[
        str | None, described("SID of an API key to call Twilio with, instead of the auth token.", example="SKxxxxxxxx")
    ] = None
    api_key_secret: Annotated[Secret | None, described("Secret of that API key.")] = None
    from_number: Annotated[
        PhoneNumber | None,
        described(
            "Number that writes to people who have not written to us; replies go out from the number written to."
        ),
    ] = None
    messaging_service_sid: Annotated[
        str | None,
        described("Messaging service that messages go out through, for its sender pool and compliance.", example="MGx"),
    ] = None
    voicemail: Annotated[
        VoicemailSettings | None,
        described("Take a message from callers of the voice address; without it they hear that the line is busy."),
    ] = None
    api_url: Annotated[ApiUrl, described("Address of the API; another one for an edge location or a proxy.")] = API_URL

    def __post_init__(self) -> None:
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("api_key_sid and api_key_secret belong together")
