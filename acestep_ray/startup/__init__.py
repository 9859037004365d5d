"""`acestep-ray serve`: checks the set-up, starts Ray and the application, and restarts them."""
