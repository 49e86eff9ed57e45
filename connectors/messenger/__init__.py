"""Facebook Messenger, and what people write on a page."""
