"""The terminal's way in: one file a command, the same parts that the service runs on."""
