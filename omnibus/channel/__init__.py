"""What a channel folder declares, and the contracts of its parts."""
