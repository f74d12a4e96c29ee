"""Score a partition of features with the champion."""
