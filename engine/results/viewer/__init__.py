"""The page that shows a scan and its labels in a browser, around niivue: its files, its scene, what a server gives it."""
