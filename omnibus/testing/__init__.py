"""The channel contract suite, for the channels of this project and of others."""
