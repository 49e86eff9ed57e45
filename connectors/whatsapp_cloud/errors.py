"""What the error codes of the Cloud API mean, in answers and in reports.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

from connectors._shared.meta.meaning import Meaning, code_of
from connectors.whatsapp_cloud.payload import Error
from omnibus.model.entities import FailureReason

LONGEST_DESCRIPTION = 300

WHATSAPP = Meaning(
    passing=frozenset(
        {
            (80_007, None),  # the WhatsApp Business account has reached its rate limit
            (130_429, None),  # throughput of the Cloud API reached
            (131_000, None),  # something went wrong
            (131_016, None),  # service overloaded
            (131_056, None),  # too many messages to the same person in a short time
            (131_057, None),  # business account in maintenance mode
            (132_069, None),  # flow throttled
            (133_004, None),  # server temporarily unavailable
        }
    ),
    settings={
        (33, None): "phone_number_id",  # the business phone number has been deleted
        (131_005, None): "access_token",  # access denied: permission not granted or removed
        (131_031, None): "phone_number_id",  # account has been locked
        (131_037, None): "phone_number_id",  # the number needs a display name
        (131_042, None): "phone_number_id",  # payment issue
        (131_045, None): "phone_number_id",  # number not registered
        (133_010, None): "phone_number_id",  # number not registered
    },
    refusals={
        (100, None): "CHANNEL_FAILURE",  # invalid parameter
        (130_403, None): "NO_PERMISSION",  # the business itself has blocked this person: unblock them first
        (130_472, None): "DELIVERY_REJECTED_DUE_TO_POLICY",  # the person's number is part of an experiment
        (130_497, None): "DELIVERY_REJECTED_DUE_TO_POLICY",  # messaging this country is restricted
        (131_008, None): "CHANNEL_FAILURE",  # required parameter is missing
        (131_009, None): "CHANNEL_FAILURE",  # parameter value is not valid
        (131_021, None): "RECIPIENT_NOT_REACHABLE",  # recipient cannot be sender
        (131_026, None): "RECIPIENT_NOT_REACHABLE",  # message undeliverable: not on WhatsApp, or an old version
        (131_030, None): "CHANNEL_BAD_CONFIGURATION",  # recipient not on the list of a test number
        (131_047, None): "OUTSIDE_ALLOWED_SENDING_WINDOW",  # more than 24 hours since the person's last message
        (131_048, None): "RATE_LIMITED",  # spam rate limit: waiting alone does not help, quality has to
        (131_049, None): "DELIVERY_REJECTED_DUE_TO_POLICY",  # not delivered, to keep the ecosystem healthy
        (131_050, None): "RECIPIENT_NOT_OPTED_IN",  # the person has stopped marketing messages
        (131_051, None): "UNSUPPORTED_OPERATION",  # unsupported message type
        (131_052, None): "MEDIA_NOT_REACHABLE",  # media download error
        (131_053, None): "MEDIA_TYPE_UNSUPPORTED",  # media upload error, unsupported as a rule
        (131_062, None): "UNSUPPORTED_OPERATION",  # business-scoped user ids cannot get authentication templates
        (132_000, None): "CHANNEL_FAILURE",  # template: number of parameters does not match
        (132_001, None): "TEMPLATE_NOT_FOUND",  # template does not exist in the language, or is not approved
        (132_005, None): "CHANNEL_FAILURE",  # template: translated text too long
        (132_007, None): "DELIVERY_REJECTED_DUE_TO_POLICY",  # template: format character policy violated
        (132_012, None): "CHANNEL_FAILURE",  # template: parameter format mismatch
        (132_015, None): "TEMPLATE_NOT_FOUND",  # template is paused
        (132_016, None): "TEMPLATE_NOT_FOUND",  # template is disabled
        (132_068, None): "TEMPLATE_NOT_FOUND",  # flow is blocked
        (134_011, None): "NO_PERMISSION",  # payments terms of service not accepted
        (135_000, None): "CHANNEL_FAILURE",  # generic user error
    },
)


def reason_of(error: Error) -> FailureReason:
    """A report's error in our vocabulary. Titles and details are Meta's own words, never the message's."""
    details = error.error_data.details if error.error_data else None
    description = details or error.title or error.message
    return FailureReason(
        code=code_of(error.code, WHATSAPP),
        native_code=str(error.code),
        description=None if description is None else description[:LONGEST_DESCRIPTION],
        retryable=(error.code, None) in WHATSAPP.passing,
    )
