"""Archives of images: docker-archive, oci-archive, and those from before Docker 1.10."""
