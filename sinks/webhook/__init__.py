"""Webhooks to anywhere, signed."""
