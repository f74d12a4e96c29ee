"""Ask people: which rows, with which picture, and what becomes of their answers."""
