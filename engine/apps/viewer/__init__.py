"""A scan and its labels in the browser: a page of ours around niivue, served to this machine alone."""
