"""What is done for every route: the API key, unexpected errors, how connections end."""
