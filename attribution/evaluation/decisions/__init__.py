"""How often decisions and shares are right."""
