"""An incident as a report: Markdown, and one HTML file that needs nothing else."""
