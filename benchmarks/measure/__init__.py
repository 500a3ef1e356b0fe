"""Time and memory of commands, measured from outside."""
