"""Docker and Podman over their socket."""
