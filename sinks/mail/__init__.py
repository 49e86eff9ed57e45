"""Forwards conversations into a ticket mailbox."""
