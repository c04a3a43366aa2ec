"""`attribution batch`: many images, here or against a running service."""
