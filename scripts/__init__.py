"""Command-line tools around Flywheel."""
