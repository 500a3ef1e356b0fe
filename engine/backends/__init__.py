"""What runs a network. A backend is one file and one line in the table of `session.py`."""
