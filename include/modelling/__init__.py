"""What models are made of: features, estimators, metrics and training sets."""
