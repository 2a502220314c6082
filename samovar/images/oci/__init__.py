"""OCI images: fetched by digest, flattened into one file tree, and run by systemd as their configuration says."""
