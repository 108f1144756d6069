"""What readers see, one file for each view."""
