"""Parameters: what an operating system is told, by one name each in every family.

They are stated in profiles and, for more than one profile, in the site's, its groups' and its
machines' own files; `ironwake.parameters.scope` joins them to what a deployment has.
"""

from __future__ import annotations

from ironwake.parameters.model import Parameters, User

__all__ = ["Parameters", "User"]
