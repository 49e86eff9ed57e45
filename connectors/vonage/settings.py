"""What an operator sets for a Vonage account."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from omnibus.config.fields import (
    ApiKey,
    ApiUrl,
    Duration,
    PhoneNumber,
    Secret,
    Settings,
    SigningSecret,
    between,
    described,
)

API_URL = "https://api.nexmo.com"
MAX_FILE_BYTES = 100_000_000
"""What WhatsApp takes as a document, the most of all."""


class VonageSettings(Settings, frozen=True, kw_only=True):
    """One Vonage application with its numbers."""

    signing_secret: Annotated[
        SigningSecret,
        described("Signature secret of the account; Vonage signs its requests with it.", example="${VONAGE_SIGNATURE}"),
    ]
    previous_signing_secret: Annotated[
        Secret | None, described("Also accepted on requests, while the secret is being changed.")
    ] = None
    sms_signature: Annotated[
        Literal["off", "unsigned", "md5hash", "md5", "sha1", "sha256", "sha512"],
        described(
            "How requests of the SMS API are signed, as the dashboard says; off: this account takes none; "
            "unsigned: they are taken without proof."
        ),
    ] = "off"
    replay_window: Annotated[
        Duration,
        between("1m", "7d"),
        described("How old a signed request may be. Vonage repeats requests for 24 hours.", example="25h"),
    ] = timedelta(hours=25)
    application_id: Annotated[str | None, described("Id of the application, for sending with its private key.")] = None
    private_key: Annotated[
        Secret | None, described("Private key of the application (PEM); needs omnibus[jwt].", example="${VONAGE_KEY}")
    ] = None
    api_key: Annotated[ApiKey | None, described("API key, for sending with key and secret instead.")] = None
    api_secret: Annotated[Secret | None, described("API secret that belongs to the key.")] = None
    from_number: Annotated[
        PhoneNumber | None,
        described(
            "Number that writes to people who have not written to us; replies go out from the number written to."
        ),
    ] = None
    api_url: Annotated[ApiUrl, described("Address of the API; a regional one, or a proxy.")] = API_URL

    def __post_init__(self) -> None:
        if (self.application_id is None) != (self.private_key is None):
            raise ValueError("application_id and private_key belong together")
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("api_key and api_secret belong together")
