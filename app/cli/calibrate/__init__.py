"""`attribution calibrate`: shares and background of one's own sources."""
