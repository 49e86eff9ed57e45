"""The kernel of Omnibus: what every stage shares. It imports none of the other packages."""

__version__ = "0.1.0"
