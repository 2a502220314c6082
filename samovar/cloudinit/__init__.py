"""What an instance is born with: user-data and metadata (`render`), and the agent in every image that reads them."""
