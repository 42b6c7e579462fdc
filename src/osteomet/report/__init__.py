"""The report a person reads: one HTML file with pictures, tables and what was not assessed."""
