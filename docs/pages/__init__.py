"""The generated reference pages, a module for each kind."""
