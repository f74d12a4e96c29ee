"""Tell whether this flight will arrive 15 minutes late or more."""
