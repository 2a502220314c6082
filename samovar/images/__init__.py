"""Images: from an image's folder to a digest, from the digest to a plan, from the plan to a RAW file that was checked.

A builder (`builders/`) bakes what is missing; `publish` brings it into a cloud.
"""
