"""Where a model or a partition came from and what came of it, from the lake and the registry."""
