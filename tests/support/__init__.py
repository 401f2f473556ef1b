"""What tests of several parts are made of: images, archives, daemons that misbehave, and what must be left behind."""
