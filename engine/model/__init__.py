"""What is run: a bundle's description, its files and the user's options."""
