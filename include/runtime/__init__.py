"""Fitted pipelines as ONNX graphs: the same scores as scikit-learn's, without its overhead."""
