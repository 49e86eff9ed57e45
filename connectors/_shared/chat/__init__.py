"""What chat channels share: reading foreign JSON, files on their way out, messages that leave in pieces."""
