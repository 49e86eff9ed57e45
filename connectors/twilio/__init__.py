"""Twilio: text messages, phone calls and voicemail."""
