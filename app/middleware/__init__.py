"""What every request passes before its route, in the order in which it meets it."""
