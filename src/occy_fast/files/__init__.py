"""Files that appear whole or not at all, and what is adopted, spooled and written into them."""
