"""What families of channels share: signatures, receive descriptions, formats. A channel never imports a sibling."""
