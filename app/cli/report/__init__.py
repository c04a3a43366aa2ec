"""`attribution report`: the answer about one image as a document."""
