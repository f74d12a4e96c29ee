"""Replays a use case's history under several retraining policies, in memory."""
