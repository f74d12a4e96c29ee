"""Deploy: decide whether a challenger becomes champion."""
