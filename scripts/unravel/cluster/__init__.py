"""What jobs cost, and what a cluster is asked for."""
