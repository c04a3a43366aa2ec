"""Label-free training of encoders; needs the extra `train`, never imported while serving."""
