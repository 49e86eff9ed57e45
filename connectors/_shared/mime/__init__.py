"""Reading mail as the world writes it: headers, charsets, parts and addresses, linear in the size of the input."""
