"""`attribution generate`: synthetic images with known sources, from pictures of your own."""
