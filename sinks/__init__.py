"""Where events go: one folder for each kind of destination, and the engine that feeds them."""
