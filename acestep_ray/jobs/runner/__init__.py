"""The runner: leases jobs, takes each from plan to takes, removes artifacts of ended ones."""
