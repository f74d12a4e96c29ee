"""Tell which kinds of hourly weather there are."""
