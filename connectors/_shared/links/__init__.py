"""Addresses under which a provider may fetch a file of ours, for those that take no uploads."""
