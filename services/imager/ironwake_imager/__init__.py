"""The imager: artifacts, loaders and media, built from the distribution's packages."""
