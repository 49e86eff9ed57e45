"""Direct messages of Facebook pages and Instagram profiles: the same form, the same Send API."""
