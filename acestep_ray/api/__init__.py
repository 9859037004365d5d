"""The HTTP contract: request and response models, body parsing, routes, problem+json."""
