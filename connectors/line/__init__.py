"""LINE: the Messaging API of an official account."""
