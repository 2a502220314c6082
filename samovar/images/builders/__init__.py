"""The builders of images: on this machine, and by Packer on machines of the cloud."""
