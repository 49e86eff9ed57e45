"""X (Twitter): direct messages, mentions and replies, over the Account Activity and X Activity webhooks."""
