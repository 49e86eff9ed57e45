"""Reading mailboxes by IMAP. Only `wire` and `protocol` import the IMAP library, GPL-3.0 and an extra, when it runs."""
