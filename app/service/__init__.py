"""The parts of a running service, and what requests have them do."""
