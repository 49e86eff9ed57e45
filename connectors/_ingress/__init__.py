"""The front door: HTTP ingress, the supervisor of pollers, sockets and listeners, and the way onto the bus."""
