"""What people start: command line, HTTP service, cluster, viewer, C++ header."""
