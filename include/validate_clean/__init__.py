"""Phase 2: raw rows become valid, clean rows."""
