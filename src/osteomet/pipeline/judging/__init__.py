"""What a model is worth: cohorts and real scans to judge it on, its calibration and its card."""
