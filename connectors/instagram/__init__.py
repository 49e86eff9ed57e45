"""Instagram: direct messages, comments and mentions."""
