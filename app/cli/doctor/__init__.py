"""`attribution doctor`: what is installed and set up, and what to do about what is not."""
