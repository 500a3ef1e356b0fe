"""`flare-trt view`: a scan and its labels in the browser, served to this machine alone."""
