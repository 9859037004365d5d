"""What stands around every route: the API key, unforeseen errors, how connections end."""
