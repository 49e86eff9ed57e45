"""E-mail: SMTP and LMTP in, any mail understood, answers out through the account's own server."""
