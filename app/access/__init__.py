"""Who may call, and what: keys, scopes, rates, and pages of other sites."""
