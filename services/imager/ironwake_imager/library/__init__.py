"""The image library: how images come in, what is known of them, and how they go."""
