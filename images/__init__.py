"""The images: one folder each with its `image.yaml`, and the bakery that makes them."""
