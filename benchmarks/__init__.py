"""What Flywheel claims about speed and memory, each figure beside what it is held against."""
