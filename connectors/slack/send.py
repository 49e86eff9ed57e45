"""Sends messages as the bot of a workspace."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.files import bytes_of, safe_name
from connectors._shared.progress import Progress
from connectors.slack.api import WebApi
from connectors.slack.channel import MAX_FILE_BYTES, SlackSettings
from connectors.slack.place import Place, place_named
from connectors.slack.plan import Post, Step, Upload, steps_for
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import InvalidPayload, Refused
from omnibus.model.events import Outbound


class _Posted(msgspec.Struct, frozen=True):
    """https://docs.slack.dev/reference/methods/chat.postMessage"""

    channel: str
    ts: str


class _Ticket(msgspec.Struct, frozen=True):
    """https://docs.slack.dev/reference/methods/files.getUploadURLExternal"""

    upload_url: str
    file_id: str


class _Ok(msgspec.Struct, frozen=True):
    ok: bool


class _Me(msgspec.Struct, frozen=True):
    """https://docs.slack.dev/reference/methods/auth.test"""

    user: str = ""
    team: str = ""


class SlackSender:
    """Sends for one workspace.

    Slack knows no idempotency key: a message whose answer was lost is sent again. Of a message in several pieces only
    the missing ones are sent again, as long as this process lives.
    """

    def __init__(self, tools: SenderTools) -> None:
        settings: SlackSettings = tools.account.settings
        self._api = WebApi(tools.http, settings)
        self._blobs = tools.blobs
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        steps = steps_for(outbound.message, _place(outbound))
        return Sent(native_ids=await self._progress.send(outbound.message.id, steps, self._take))

    async def probe(self) -> str:
        """The bot's name, and the workspace's."""
        me = await self._api.post("auth.test", {}, _Me)
        return f"@{me.user} in {me.team}"

    async def close(self) -> None:
        return None

    async def _take(self, step: Step) -> Sequence[str]:
        return await self._upload(step) if isinstance(step, Upload) else await self._post(step)

    async def _post(self, post: Post) -> Sequence[str]:
        posted = await self._api.post("chat.postMessage", post.params, _Posted)
        return (Place(posted.channel).native_id(posted.ts),)

    async def _upload(self, upload: Upload) -> Sequence[str]:
        """Ask for an address, send the bytes there, share the file.

        Slack does not say which message the file is then in: the file's id stands for it.
        https://docs.slack.dev/messaging/working-with-files#uploading_files
        """
        data = await bytes_of(self._blobs, upload.file, MAX_FILE_BYTES)
        name = safe_name(upload.file)
        asked = {"filename": name, "length": str(len(data))}
        ticket = await self._api.form("files.getUploadURLExternal", asked, _Ticket)
        await self._api.upload(ticket.upload_url, data)
        shared = {"files": [{"id": ticket.file_id, "title": name}], **upload.params}
        await self._api.post("files.completeUploadExternal", shared, _Ok)
        return (f"file:{ticket.file_id}",)


def _place(outbound: Outbound) -> Place:
    try:
        return place_named(outbound.conversation.thread_key)
    except InvalidPayload as error:
        raise Refused("RECIPIENT_NOT_REACHABLE", str(error)) from None
