"""`attribution evaluate`: ranks and decisions, measured and shown."""
