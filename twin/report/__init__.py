"""Reports: pictures, and one page that needs nothing else. What all share, and that of a run."""
