"""The report of a scan as one HTML file that opens offline: no script, no reference to anything outside itself."""
