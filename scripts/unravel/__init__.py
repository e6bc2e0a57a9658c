"""Unravel: train residual networks, cut blocks out of them, follow the gradient along single paths."""
