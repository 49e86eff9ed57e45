"""The normalizer: raw events in, unified events out."""
