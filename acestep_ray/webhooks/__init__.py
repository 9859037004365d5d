"""Messages about jobs to addresses that clients name: what may be called, and the calls."""
