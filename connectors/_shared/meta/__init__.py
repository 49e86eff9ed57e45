"""What the channels of Meta have in common: webhooks, the Graph API, direct messages of pages and profiles."""
