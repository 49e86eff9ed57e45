"""Replies leave through the channel they belong to."""
