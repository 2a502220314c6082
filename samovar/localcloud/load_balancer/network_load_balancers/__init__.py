"""Network load balancers and the health of their targets."""
