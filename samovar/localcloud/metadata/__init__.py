"""The metadata service: what a machine learns about itself at 169.254.169.254, in Google's form and in Amazon's."""
