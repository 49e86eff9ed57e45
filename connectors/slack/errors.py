"""What the errors of the Web API mean. https://docs.slack.dev/reference/methods/chat.postMessage#errors,
https://docs.slack.dev/reference/methods/files.completeUploadExternal#errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http import Response, retry_after

PASSING = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "message_limit_exceeded",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",  # the workspace is being moved into an organisation
        "org_login_required",
    }
)

SETTINGS = frozenset(
    {
        "not_authed",
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "not_allowed_token_type",
        "access_denied",
        "accesslimited",
        "enterprise_is_restricted",
        "two_factor_setup_required",
    }
)

GONE = frozenset({"user_not_found", "users_not_found", "user_disabled", "cannot_dm_bot"})

REFUSALS: Mapping[str, str] = {
    "channel_not_found": "RECIPIENT_NOT_REACHABLE",
    "invalid_channel": "RECIPIENT_NOT_REACHABLE",
    "is_archived": "RECIPIENT_NOT_REACHABLE",
    "is_inactive": "RECIPIENT_NOT_REACHABLE",
    "messages_tab_disabled": "RECIPIENT_NOT_REACHABLE",
    "not_in_channel": "NO_PERMISSION",
    "no_permission": "NO_PERMISSION",
    "posting_to_channel_denied": "NO_PERMISSION",
    "restricted_action": "NO_PERMISSION",
    "restricted_action_read_only_channel": "NO_PERMISSION",
    "restricted_action_thread_only_channel": "NO_PERMISSION",
    "restricted_action_non_threadable_channel": "NO_PERMISSION",
    "restricted_action_thread_locked": "NO_PERMISSION",
    "team_access_not_granted": "NO_PERMISSION",
    "ekm_access_denied": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "external_channel_migrating": "CHANNEL_FAILURE",
    "file_uploads_disabled": "MEDIA_TYPE_UNSUPPORTED",
    "file_uploads_except_images_disabled": "MEDIA_TYPE_UNSUPPORTED",
    "blocked_file_type": "MEDIA_TYPE_UNSUPPORTED",
    "slack_connect_blocked_file_type": "MEDIA_TYPE_UNSUPPORTED",
    "slack_connect_file_upload_sharing_blocked": "NO_PERMISSION",
    "slack_connect_file_link_sharing_blocked": "NO_PERMISSION",
    "file_not_found": "MEDIA_NOT_REACHABLE",
    "file_deleted": "MEDIA_NOT_REACHABLE",
    "file_upload_size_restricted": "MEDIA_TOO_LARGE",
    "msg_too_long": "UNSUPPORTED_OPERATION",
    "msg_blocks_too_long": "UNSUPPORTED_OPERATION",
    "no_text": "UNSUPPORTED_OPERATION",
    "invalid_blocks": "UNSUPPORTED_OPERATION",
    "invalid_blocks_format": "UNSUPPORTED_OPERATION",
}

_CODE = re.compile(r"[a-z0-9_]{1,60}")


def raise_failure(code: str, response: Response) -> NoReturn:
    """Raise what happens next after an answer that is not ``ok``."""
    shown = code if _CODE.fullmatch(code) else "an error we do not know"
    if code in PASSING:
        raise TryAgain(f"Slack says {shown}", after=retry_after(response.headers))
    if code in SETTINGS:
        raise Misconfigured("bot_token", f"Slack refuses it: {shown}")
    if code in GONE:
        raise RecipientGone(f"Slack says {shown}", native_code=code)
    raise Refused(REFUSALS.get(code, "CHANNEL_FAILURE"), f"Slack says {shown}", native_code=shown)
