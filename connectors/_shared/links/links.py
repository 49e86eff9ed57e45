"""Signed addresses of stored files: pure, and constant in time.

``<public_url>/ch/<account>/files/<expires>/<signature>/<sha256>/<name>?type=<mime>``: the file name comes last, because
some providers tell the kind of a file by it.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from connectors._shared.files import mime_of, reference, safe_name
from omnibus import clock
from omnibus.blobs import PREFIX, BlobStore
from omnibus.channel.declaration import Account
from omnibus.config.fields import Secret
from omnibus.errors import Refused
from omnibus.model.content import Attachment

VALID = timedelta(days=7)
"""How long an address works: people open a picture days after it was sent."""
_PURPOSE = b"omnibus file links"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What an address stands for. `expires` is Unix time in seconds."""

    account: str
    expires: int
    digest: str
    name: str
    mime: str

    def signature(self, secret: Secret) -> str:
        """Over everything the address says, with a key that is good for nothing else."""
        key = hmac.new(secret.reveal().encode(), _PURPOSE, hashlib.sha256).digest()
        said = msgspec.json.encode([self.account, self.expires, self.digest, self.name, self.mime])
        return hmac.new(key, said, hashlib.sha256).hexdigest()

    def is_proven(self, secret: Secret, signature: str) -> bool:
        """Whether we made this address, and it still counts."""
        ours = self.signature(secret).encode()
        return hmac.compare_digest(ours, signature.encode("utf-8", "replace")) & (self.expires > clock.now_ms() // 1000)

    def path(self, secret: Secret) -> str:
        """The address below ``/ch/<account>``."""
        name = quote(self.name, safe="")
        query = urlencode({"type": self.mime})
        return f"/files/{self.expires}/{self.signature(secret)}/{self.digest}/{name}?{query}"


class Links:
    """Makes addresses for the files of one account; some providers fetch nothing that is not on https."""

    def __init__(
        self,
        account: Account,
        blobs: BlobStore,
        secret: Secret,
        *,
        valid: timedelta = VALID,
        schemes: tuple[str, ...] = ("https",),
    ) -> None:
        self._account = account
        self._blobs = blobs
        self._secret = secret
        self._valid = valid
        self._schemes = schemes

    async def url_of(self, attachment: Attachment, max_bytes: int) -> str:
        """An address the provider can fetch the file from. Raises Refused when it has none, or is too large."""
        ref = reference(attachment, max_bytes)
        if ref.scheme == "object":
            url = await self._blobs.url(ref.uri, self._valid) or self._own(attachment, ref.uri)
        else:
            url = ref.uri if ref.scheme == "url" else ""
        if urlsplit(url).scheme not in self._schemes:
            how = " or ".join(self._schemes)
            raise Refused("MEDIA_NOT_REACHABLE", f"the provider fetches files by {how}; set http.public_url")
        return url

    def _own(self, attachment: Attachment, uri: str) -> str:
        link = Link(
            account=self._account.name,
            expires=(clock.now_ms() // 1000) + int(self._valid.total_seconds()),
            digest=uri.removeprefix(PREFIX),
            name=safe_name(attachment),
            mime=mime_of(attachment),
        )
        return f"{self._account.public_url}/ch/{quote(self._account.name, safe='')}{link.path(self._secret)}"
