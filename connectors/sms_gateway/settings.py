"""What an operator sets for a gateway: what its requests look like, and what ours must look like.

A preset fills in everything; each setting that is given takes the place of the preset's.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from omnibus.config.fields import Password, PhoneNumber, Regex, Secret, Settings, Url, WebhookSecret, described

Names = str | tuple[str, ...]
"""A field of the gateway's requests, or several of which the first that has something counts.

In a JSON object it may be a place further down: ``message.text``, or ``/message/text``.
"""


class IncomingSettings(Settings, frozen=True, kw_only=True):
    """Which fields of a request say what. They are looked for in the query, the form, or the JSON object."""

    items: Annotated[
        Names | None, described("The list in a JSON body that holds several messages or reports.", example="results")
    ] = None
    id: Annotated[Names | None, described("The gateway's id of the message.", example="message_id")] = None
    sender: Annotated[Names | None, described("Who wrote.", example="from")] = None
    recipient: Annotated[Names | None, described("The number that was written to.", example="to")] = None
    text: Annotated[Names | None, described("The words.", example="text")] = None
    hex: Annotated[Names | None, described("The words as hexadecimal bytes, read by their data coding.")] = None
    time: Annotated[Names | None, described("When it was written: ISO 8601, or seconds since 1970; UTC.")] = None
    coding: Annotated[
        Names | None, described("The data coding: 0 GSM, 1 ASCII, 3 Latin-1, 8 UCS-2 (what it says, see `codings`).")
    ] = None
    codings: Annotated[
        dict[str, int] | None, described("The gateway's own numbers of data codings, as SMPP's.", example="{2: 8}")
    ] = None
    charset: Annotated[str | None, described("The character set of query and form.", example="iso-8859-1")] = None
    charset_field: Annotated[Names | None, described("The field that names the character set of the words.")] = None
    udh: Annotated[
        Names | None, described("The user data header, as hexadecimal or as bytes: it says which part this is.")
    ] = None
    reference: Annotated[Names | None, described("The number that the parts of a long message share.")] = None
    part: Annotated[Names | None, described("Which part of a long message this is, from 1.")] = None
    parts: Annotated[Names | None, described("How many parts there are.")] = None
    status: Annotated[
        Names | None, described("The status in a delivery report; a request that has this field is one.")
    ] = None
    report_id: Annotated[Names | None, described("The id of the message that a delivery report is about.")] = None
    error: Annotated[Names | None, described("The network's error code in a delivery report.")] = None
    statuses: Annotated[
        dict[str, Literal["queued", "sent", "delivered", "read", "failed"]] | None,
        described("What the gateway's own statuses mean, besides those of SMPP.", example="{DELIVERED_OK: delivered}"),
    ] = None
    failures: Annotated[
        dict[str, str] | None,
        described("The failure codes of its statuses that mean failed.", example="{16: CHANNEL_FAILURE}"),
    ] = None
    answer: Annotated[str | None, described("What the gateway wants to hear back, to the letter.")] = None


class OutgoingSettings(Settings, frozen=True, kw_only=True):
    """How a message is handed to the gateway."""

    url: Annotated[Url | None, described("Where messages are handed in; without it nobody can be answered.")] = None
    method: Annotated[Literal["GET", "POST"] | None, described("How they are handed in.")] = None
    format: Annotated[
        Literal["query", "form", "json"] | None, described("Where the parameters go: query, form, or a JSON object.")
    ] = None
    auth: Annotated[
        Literal["params", "basic", "bearer", "header", "none"] | None,
        described("How we prove ourselves: user and password as parameters, HTTP basic, a bearer token, a header."),
    ] = None
    user: Annotated[str | None, described("Our name at the gateway.")] = None
    password: Annotated[Password | None, described("Password, token or key at the gateway.")] = None
    auth_header: Annotated[str, described("The header with the key, for auth: header.")] = "X-API-Key"
    to_param: Annotated[str | None, described("Parameter with the recipient's number.")] = None
    from_param: Annotated[str | None, described("Parameter with the sender.")] = None
    text_param: Annotated[str | None, described("Parameter with the words.")] = None
    user_param: Annotated[str | None, described("Parameter with our name, for auth: params.")] = None
    password_param: Annotated[
        str | None, msgspec.Meta(description="Name of the parameter with the password, for auth: params.")
    ] = None
    coding_param: Annotated[str | None, described("Parameter with the data coding; empty when there is none.")] = None
    id_param: Annotated[str | None, described("Parameter with our own id; empty when there is none.")] = None
    callback_param: Annotated[
        str | None, described("Parameter with the address for delivery reports; empty when there is none.")
    ] = None
    callback_query: Annotated[
        str | None, described("What that address says besides, with the gateway's own placeholders.", example="dlr=%d")
    ] = None
    encoding: Annotated[
        Literal["text", "hex"] | None, described("The words as text, or as hexadecimal bytes of their alphabet.")
    ] = None
    gsm_coding: Annotated[str | None, described("The data coding of a message in the GSM alphabet.")] = None
    unicode_coding: Annotated[str | None, described("The data coding of a message in UCS-2.")] = None
    numbers: Annotated[
        Literal["plus", "digits", "zeros"] | None,
        described("How numbers are written: +12025550147, 12025550147 or 0012025550147."),
    ] = None
    constants: Annotated[
        dict[str, str] | None, described("Parameters that are always the same.", example="{dlr: yes}")
    ] = None
    max_parts: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=10)] | None,
        described("Most parts of one message; longer texts are several."),
    ] = None
    accepted: Annotated[
        Regex | None,
        described(
            "What an answer says when the message was taken; a group named id is its id.", example="OK (?P<id>.+)"
        ),
    ] = None
    id_paths: Annotated[Names | None, described("Where a JSON answer has the message's id.", example="data.id")] = None
    again: Annotated[tuple[str, ...] | None, described("What an answer says when it is worth another try later.")] = (
        None
    )
    refusals: Annotated[
        dict[str, str] | None,
        described("What an answer says, and the failure that is.", example="{No route: RECIPIENT_NOT_REACHABLE}"),
    ] = None
    allow_private: Annotated[bool, described("Let url be on this machine or in a private network.")] = False


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """One gateway, or one account at it."""

    preset: Annotated[
        Literal["generic", "kannel", "jasmin"], described("What kind of gateway it is; see the README for each.")
    ] = "generic"
    verify: Annotated[
        Literal["token", "header", "basic", "none"],
        described("How the gateway proves itself: a parameter of its address, a header, HTTP basic, not at all."),
    ] = "token"
    webhook_secret: Annotated[
        WebhookSecret | None, described("The token, or the password of basic. Letters, digits and punctuation.")
    ] = None
    previous_secret: Annotated[Secret | None, described("Also accepted, while the gateway changes to the new one.")] = (
        None
    )
    webhook_user: Annotated[str, described("The user of basic.")] = "gateway"
    token_param: Annotated[
        str, msgspec.Meta(description="Name of the query parameter with the token, for verify: token.")
    ] = "token"  # noqa: S105 - the name of a parameter
    token_header: Annotated[str, msgspec.Meta(description="Name of the header with the token, for verify: header.")] = (
        "X-Webhook-Token"  # noqa: S105 - the name of a header
    )
    from_number: Annotated[
        PhoneNumber | None,
        described("Our number: where requests do not name it, and for people who have not written to us."),
    ] = None
    incoming: Annotated[IncomingSettings, described("What its requests look like.")] = msgspec.field(
        default_factory=IncomingSettings
    )
    outgoing: Annotated[OutgoingSettings, described("What ours look like.")] = msgspec.field(
        default_factory=OutgoingSettings
    )

    def __post_init__(self) -> None:
        if self.verify != "none" and self.webhook_secret is None:
            raise ValueError(f"verify: {self.verify} needs webhook_secret")
        for secret in (self.webhook_secret, self.previous_secret):
            if secret is not None and not (secret.reveal().isascii() and secret.reveal().isprintable()):
                raise ValueError("webhook_secret may hold printable ASCII only")
        _check_charset(self.incoming.charset)


def _check_charset(name: str | None) -> None:
    try:
        "".encode(name or "utf-8")
    except LookupError:
        raise ValueError(f"incoming.charset: no character set {name!r}") from None
