"""What happens to a mapped event on its way to becoming a unified one, a module for each step."""
