"""Vonage: Messages API and SMS API."""
