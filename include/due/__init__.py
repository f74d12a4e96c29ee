"""What each phase has still to do, told from what its results were made from."""
