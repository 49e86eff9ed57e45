"""Any SMS gateway that speaks plain HTTP, described by its settings."""
