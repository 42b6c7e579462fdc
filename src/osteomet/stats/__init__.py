"""Statistics on plain arrays: intervals, tests, agreement, curves, patient bootstrap and multi-reader analysis."""
