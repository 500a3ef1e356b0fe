"""Many scans: jobs, the steps of one, and how they overlap."""
