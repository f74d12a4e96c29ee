"""Phase 1: landed files become raw rows and labels."""
