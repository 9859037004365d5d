"""Inside the job store actor: the store, its maintenance, and what is only in memory."""
