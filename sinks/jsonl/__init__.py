"""JSON lines on the local disk."""
