"""Routing rules: conditions in CEL, checked when they are loaded, evaluated together, explained afterwards."""
