"""What is wrong with a use case, told once: conditions, incidents, messages."""
