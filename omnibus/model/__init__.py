"""The unified conversation model: the contract with everybody downstream."""
