"""What a request brings and what it accepts; knows no route."""
