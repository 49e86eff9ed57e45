"""The router: gives every conversation to a queue or an automation, and says why."""
