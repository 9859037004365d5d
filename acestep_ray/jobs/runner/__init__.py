"""The runner: leases jobs, runs each from its plan to its takes, removes unneeded artifacts."""
