"""The report of a finished run: pictures, and one page that needs nothing else."""
