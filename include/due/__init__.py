"""What each phase still has to do, found from what its results were made from."""
