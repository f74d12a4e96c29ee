"""Find what is due and was not started, because an event was lost."""
