"""A patch as a file for other programs, compared with the patch before it is kept."""
