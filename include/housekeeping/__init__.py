"""Find what is due and was not started, because an event was lost; and what is out of date."""
