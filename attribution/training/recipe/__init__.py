"""What a run is told: its configuration, and what is checked before it starts."""
