"""The settings of one X account."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from omnibus.config.fields import AccessToken, ApiKey, ApiUrl, AppSecret, ClientSecret, Secret, Settings, described

API_URL = "https://api.x.com"


class XSettings(Settings, frozen=True, kw_only=True):
    """One account of ours on X, and the app that acts for it."""

    user_id: Annotated[
        str,
        described("Numeric id of the account (not its @name).", example="1100000000000000001"),
        Meta(pattern="^[0-9]{1,20}$"),
    ]
    client_secret: Annotated[
        ClientSecret | None,
        described("OAuth 2.0 client secret of the app. Signs webhooks; needed when app_secret is not given."),
    ] = None
    app_secret: Annotated[
        AppSecret | None,
        described(
            "API key secret (consumer secret) of the app. Signs webhooks of older apps, and our OAuth 1.0a calls."
        ),
    ] = None
    api_key: Annotated[ApiKey | None, described("API key (consumer key) of the app; for sending with OAuth 1.0a.")] = (
        None
    )
    access_token: Annotated[
        AccessToken | None,
        described("Access token of the account: of OAuth 1.0a with access_token_secret, of OAuth 2.0 without."),
    ] = None
    access_token_secret: Annotated[
        Secret | None, described("Secret of the OAuth 1.0a access token; such a token does not expire.")
    ] = None
    api_url: Annotated[ApiUrl, described("Address of the X API; another one for tests and proxies.")] = API_URL

    def __post_init__(self) -> None:
        if self.client_secret is None and self.app_secret is None:
            raise ValueError("client_secret or app_secret is needed: X signs webhooks with it")
        if self.access_token_secret is not None and (
            self.access_token is None or self.api_key is None or self.app_secret is None
        ):
            raise ValueError("access_token_secret needs access_token, api_key and app_secret beside it")
