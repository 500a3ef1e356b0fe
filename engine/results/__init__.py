"""From labels to numbers, pictures and files."""
