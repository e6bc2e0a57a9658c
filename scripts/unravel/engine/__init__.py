"""What a study may ask of a network: wirings, paths, and how many there are."""
