"""The ironwake command."""
