"""Slack: the Events API, interactions and slash commands in, the Web API out."""
