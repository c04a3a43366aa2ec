"""What a picture shows besides its subject, and images planned so that the two are independent."""
