"""Conversations over a line of our own (web chat, mobile app): a history that is followed, and people connected to it.

What a person writes and what our side answers enter one compacted topic, the history. Every ingress process follows it
and pushes what is new to the people connected there; whoever was away asks for what they missed.
"""
