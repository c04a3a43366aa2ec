"""How an answer is divided among sources, and how that is fitted."""
