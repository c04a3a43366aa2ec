"""Terms, networks and views joined into what a step minimises."""
