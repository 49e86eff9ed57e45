"""Reading mailboxes by IMAP. Only `wire` imports the IMAP library, which is GPL-3.0 and an extra; only when it runs."""
