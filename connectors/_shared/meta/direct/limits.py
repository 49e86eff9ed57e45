"""How much a direct message may hold.

https://developers.facebook.com/docs/messenger-platform/reference/attachment-upload-api
"""

from __future__ import annotations

MEGABYTE = 1_000_000
MAX_IMAGE_BYTES = 8 * MEGABYTE
MAX_FILE_BYTES = 25 * MEGABYTE
