"""Phase 7: decide whether a training is due."""
