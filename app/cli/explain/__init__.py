"""`attribution explain`: a picture of where an image resembles its sources."""
