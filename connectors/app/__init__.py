"""Mobile app: a REST and WebSocket protocol for a company's own app; no provider in between."""
