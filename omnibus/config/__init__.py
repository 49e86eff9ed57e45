"""Configuration: one YAML file, the environment and flags, read once into typed settings; every error at once."""
