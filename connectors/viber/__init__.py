"""Viber: the REST Bot API."""
