"""The bus: one port, two engines."""
