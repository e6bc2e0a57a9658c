"""What a run rests on: job records, what they add up to, and whether it still holds."""
