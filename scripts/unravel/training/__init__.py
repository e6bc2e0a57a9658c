"""Trainings: the loop, its steps, what it saves, and where it computes."""
