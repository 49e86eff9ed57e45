"""What the error codes of the Send API mean.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes
"""

from __future__ import annotations

from connectors._shared.meta.meaning import Meaning

SEND_API = Meaning(
    passing=frozenset(
        {
            (1_200, None),  # temporary send message failure
            (4, 2_018_022),  # too many send requests
            (613, 1_893_016),  # rate at which one person is written to
        }
    ),
    gone=frozenset(
        {
            (100, 2_018_001),  # no matching user found
            (100, 2_534_014),  # the requested user cannot be found
        }
    ),
    refusals={
        (10, 2_018_065): "OUTSIDE_ALLOWED_SENDING_WINDOW",  # sent outside of the allowed window
        (10, 2_018_278): "OUTSIDE_ALLOWED_SENDING_WINDOW",  # the same, for standard messaging
        (10, 2_018_108): "RECIPIENT_NOT_OPTED_IN",  # the person does not receive messages from us at the moment
        (10, 2_534_022): "OUTSIDE_ALLOWED_SENDING_WINDOW",  # the same, on Instagram
        (10, 2_018_300): "NO_PERMISSION",  # another app controls this conversation now
        (10, 1_893_063): "DELIVERY_REJECTED_DUE_TO_POLICY",  # we are restricted from sending for a while
        (100, None): "CHANNEL_FAILURE",  # a parameter is not valid
        (100, 2_018_008): "MEDIA_NOT_REACHABLE",  # the file could not be fetched from its address
        (100, 2_018_047): "MEDIA_NOT_REACHABLE",  # the upload failed
        (100, 2_018_074): "MEDIA_NOT_REACHABLE",  # the attachment cannot be used again
        (100, 2_018_109): "MEDIA_TOO_LARGE",  # the attachment exceeds the allowable limit
        (100, 2_534_015): "CHANNEL_FAILURE",  # a message of this form cannot be sent
        (100, 2_534_029): "DELIVERY_REJECTED_DUE_TO_POLICY",  # the profile is blocked from sending with the API
        (100, 2_534_037): "NO_PERMISSION",  # we are not the thread owner: another app controls this on Instagram
        (200, 1_545_041): "RECIPIENT_NOT_REACHABLE",  # this person is not available right now
        (200, 2_018_021): "NO_PERMISSION",  # the page may not write to people outside the app
        (200, 2_018_028): "NO_PERMISSION",  # the app may not write to people without a role in it
        (230, None): "NO_PERMISSION",  # the page's token lacks pages_messaging
        (551, None): "RECIPIENT_NOT_REACHABLE",  # this person is not available right now: blocked or deactivated
        (10_900, None): "CHANNEL_FAILURE",  # the comment or message was answered privately before
    },
)
