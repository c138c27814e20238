"""The same task done by each variant: one module each, run as a child process with a Job as its argument."""
