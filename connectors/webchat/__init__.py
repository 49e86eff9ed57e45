"""Web chat: a widget for any web page, over a WebSocket to this installation; no provider in between."""
