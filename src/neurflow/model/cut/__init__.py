"""What lies between two layers of a network."""
