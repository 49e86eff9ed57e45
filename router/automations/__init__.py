"""Automations: programs that answer conversations. One module for each type; discovery finds it by its AUTOMATION."""
