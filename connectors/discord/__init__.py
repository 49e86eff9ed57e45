"""Discord: the gateway and interactions in, the REST API out."""
