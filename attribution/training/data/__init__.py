"""From image files to views and mixtures of them."""
