"""OCI image layouts in directories."""
