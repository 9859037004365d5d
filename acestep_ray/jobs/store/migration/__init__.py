"""`acestep-ray migrate-store`: jobs from a SQLite file to a Redis database."""
