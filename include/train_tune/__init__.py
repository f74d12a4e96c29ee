"""Train and tune: try configurations, keep the best, package and register it."""
